"""Spans of time: what is asked for, in pages, and what is missing. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from flows.errors import ConfigurationError
from flows.numeric.arrays import Int64
from flows.numeric.time import NS_PER_DAY, NS_PER_MS, NS_PER_S, NS_PER_US, text_of
from schemas.ticks import EARLIEST_NS, LATEST_NS

INTERVALS_S = {
    "1m": 60,
    "2m": 120,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
"""Seconds of each interval that some venue has."""

_DURATION = re.compile(r"(\d+)\s*(m|h|d|w)")
_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Span:
    """Time in [from_ns, to_ns), nanoseconds since the UNIX epoch."""

    from_ns: int
    to_ns: int

    def __str__(self) -> str:
        """Return both ends as UTC text."""
        return f"{text_of(self.from_ns)} to {text_of(self.to_ns)}"


def day_of(ts_ns: int) -> str:
    """Return the UTC day of a time, ``YYYY-MM-DD``."""
    return text_of(ts_ns)[:10]


def epoch_ns(value: int) -> int | None:
    """Return nanoseconds of an epoch in s, ms, µs or ns; None where no unit makes it plausible.

    Venues change their unit: Binance's newer files are in microseconds.
    """
    for factor in (NS_PER_S, NS_PER_MS, NS_PER_US, 1):
        if EARLIEST_NS <= value * factor < LATEST_NS:
            return value * factor
    return None


def span_of(
    start: str | None, end: str | None, last: str | None, now_ns: int, interval_s: int
) -> Span:
    """Return the span that the options mean, cut to whole bars and to the present.

    Parameters
    ----------
    start, end
        ISO dates or times, UTC where they have no offset; the end is not part of the span, and is
        now where it is None.
    last
        A duration such as ``90m``, ``12h``, ``2d`` or ``1w`` before the end.

    Raises
    ------
    ConfigurationError
        An option cannot be read, contradicts another, or nothing is left.
    """
    interval_ns = interval_s * NS_PER_S
    to_ns = now_ns if end is None else _time_ns(end, "--to")
    if (start is None) == (last is None):
        message = "say --last 2d, or --from with or without --to"
        raise ConfigurationError(message)
    from_ns = to_ns - _duration_ns(last) if last is not None else _time_ns(start or "", "--from")
    if last is None and from_ns >= to_ns:
        message = f"--from {start} is not before --to {end if end is not None else 'now'}"
        raise ConfigurationError(message)
    # The first bar begins within the span, the last may be cut by its end.
    first = -(-from_ns // interval_ns) * interval_ns
    following = -(-min(to_ns, now_ns) // interval_ns) * interval_ns
    if first >= following:
        message = (
            f"no bar of {interval_s} s begins in {Span(from_ns, to_ns)}, or it has yet to come"
        )
        raise ConfigurationError(message)
    return Span(first, following)


def _time_ns(text: str, option: str) -> int:
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        message = f"{option} {text!r} is no time; write 2026-02-01 or 2026-02-01T12:30 (UTC)"
        raise ConfigurationError(message) from None
    aware = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    ts_ns = int(aware.timestamp()) * NS_PER_S
    if not EARLIEST_NS <= ts_ns < LATEST_NS:
        message = f"{option} {text!r} is before 2009 or after 2261"
        raise ConfigurationError(message)
    return ts_ns


def _duration_ns(text: str) -> int:
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < seconds < 100 * 366 * 86_400:
        message = f"--last {text!r} is no duration; write a number and m, h, d or w, such as 2d"
        raise ConfigurationError(message)
    return seconds * NS_PER_S


def missing_pages(span: Span, have: Int64, interval_ns: int, page_bars: int) -> list[Span]:
    """Return what to ask for, so that no bar is missing: one span for each page.

    Pages are cut at absolute multiples of their length. A page without a missing bar is left out,
    and one with some is narrowed to them.

    Parameters
    ----------
    have
        int64, shape (n,), rising: the opening times that are known.
    page_bars
        Most bars in an answer.
    """
    page_ns = page_bars * interval_ns
    pages = []
    for first_ns in range(span.from_ns // page_ns * page_ns, span.to_ns, page_ns):
        cut = Span(max(first_ns, span.from_ns), min(first_ns + page_ns, span.to_ns))
        missing = _missing(cut, have, interval_ns)
        if len(missing):
            pages.append(Span(int(missing[0]), int(missing[-1]) + interval_ns))
    return pages


def holes(span: Span, have: Int64, interval_ns: int) -> list[Span]:
    """Return the stretches of a span without a bar, in order."""
    missing = _missing(span, have, interval_ns)
    if not len(missing):
        return []
    breaks = np.flatnonzero(np.diff(missing) > interval_ns)
    starts = missing[np.append(0, breaks + 1)]
    ends = missing[np.append(breaks, len(missing) - 1)] + interval_ns
    return [Span(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def _missing(span: Span, have: Int64, interval_ns: int) -> Int64:
    wanted = np.arange(span.from_ns, span.to_ns, interval_ns, dtype=np.int64)
    return wanted[~np.isin(wanted, have, assume_unique=True)]


def days(span: Span) -> Iterator[str]:
    """Yield the UTC days that a span touches."""
    for at_ns in range(span.from_ns // NS_PER_DAY * NS_PER_DAY, span.to_ns, NS_PER_DAY):
        yield day_of(at_ns)
