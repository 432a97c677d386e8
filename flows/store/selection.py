"""Which rows and columns of a table are wanted: pure, from arguments to SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

import numpy as np

from flows.errors import ConfigurationError
from flows.store.contract import StoreTable
from flows.store.snapshot import StoredFile, folder_symbol
from schemas.ticks import LATEST_NS

When: TypeAlias = int | str | date | datetime
"""Nanoseconds since the UNIX epoch, an ISO date or time, or one of Python's; UTC without offset."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters over a table; None leaves a filter out.

    Attributes
    ----------
    start_ns, end_ns
        Rows whose time lies in [start_ns, end_ns).
    interval_s
        Of candles and bars.
    """

    venues: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    interval_s: int | None = None


def selection(
    venues: str | Iterable[str] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: When | None = None,
    end: When | None = None,
    interval_s: int | None = None,
) -> Selection:
    """Return the filters that arguments of a helper mean.

    Raises
    ------
    ConfigurationError
        A time cannot be read.
    """
    return Selection(
        _names(venues),
        _names(symbols),
        None if start is None else to_ns(start),
        None if end is None else to_ns(end),
        interval_s,
    )


def to_ns(when: When) -> int:
    """Return nanoseconds since the UNIX epoch, int64.

    A time beyond those that a tick can have, such as the year 9999 for no end, is the last of them,
    or the one before the first.

    Raises
    ------
    ConfigurationError
        A text is no ISO date or time.
    """
    if isinstance(when, int):
        return _bounded(when)
    moment: date
    if isinstance(when, str):
        try:
            moment = datetime.fromisoformat(when)
        except ValueError:
            message = f"{when!r} is no time; write 2026-01-05 or 2026-01-05T14:30:00+00:00"
            raise ConfigurationError(message) from None
    else:
        moment = when
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded((moment - _EPOCH) // _US * 1_000)


def _bounded(ts_ns: int) -> int:
    return min(max(ts_ns, 0), LATEST_NS)


def wanted_files(files: Iterable[StoredFile], chosen: Selection) -> list[StoredFile]:
    """Return the files that can hold a chosen row, by their folders' names."""
    first, last = _day(chosen.start_ns), _day(None if chosen.end_ns is None else chosen.end_ns - 1)
    symbols = None if chosen.symbols is None else set(map(folder_symbol, chosen.symbols))
    return [
        file
        for file in files
        if (symbols is None or file.symbol in symbols)
        and (chosen.venues is None or not file.venue or file.venue in chosen.venues)
        and (first is None or file.date >= first)
        and (last is None or file.date <= last)
    ]


def condition(table: StoreTable, chosen: Selection) -> tuple[str, list[object]]:
    """Return the filters as a condition of SQL, and its parameters."""
    terms: list[str] = []
    values: list[object] = []
    for column, names in (("venue", chosen.venues), ("symbol", chosen.symbols)):
        if names is not None:
            terms.append(f"{column} IN ({', '.join('?' * len(names))})" if names else "false")
            values += names
    for test, bound in ((">=", chosen.start_ns), ("<", chosen.end_ns)):
        if bound is not None:
            terms.append(f"{table.time} {test} ?")
            values.append(bound)
    if chosen.interval_s is not None and table.has_intervals:
        terms.append("interval_s = ?")
        values.append(chosen.interval_s)
    return " AND ".join(terms) or "true", values


def columns_of(known: Sequence[str], wanted: Sequence[str] | None, table: str) -> list[str]:
    """Return the wanted columns, all where none are named.

    Raises
    ------
    ConfigurationError
        One is unknown, or named twice.
    """
    if wanted is None:
        return list(known)
    if isinstance(wanted, str):
        wanted = [wanted]
    for name in wanted:
        if name not in known:
            message = f"{table} has no column {name!r}; it has {', '.join(known)}"
            raise ConfigurationError(message)
    return list(dict.fromkeys(wanted))


def _names(names: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)


def _day(ts_ns: int | None) -> str | None:
    return None if ts_ns is None else str(np.datetime64(ts_ns, "ns").astype("datetime64[D]"))
