"""The summary of an archive as tables for people."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from flows.host.terminal import PlainTable
from flows.store.summary import Market, StoreSummary

MOST_NAMES = 4
_UNITS = ("B", "kB", "MB", "GB", "TB")


def print_summary(console: Console, summary: StoreSummary) -> None:
    """Print one line a table, then one a market."""
    console.print(f"archive {summary.archive}, {size(summary.bytes)}", highlight=False)
    console.print(_tables(summary))
    console.print(_markets(summary))
    for note in _notes(summary):
        console.print(note, highlight=False)


def when(ts_ns: int | None) -> str:
    """Return a time as UTC to the second; a dash for None."""
    return "-" if ts_ns is None else str(np.datetime64(ts_ns, "ns").astype("datetime64[s]"))


def size(count: int) -> str:
    """Return bytes in a unit that keeps the number short."""
    power = min(len(_UNITS) - 1, max(0, len(str(count)) - 1) // 3)
    return f"{count} B" if power == 0 else f"{count / 1_000**power:.1f} {_UNITS[power]}"


def duration(seconds: int) -> str:
    """Return seconds in the two largest units that they have."""
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _tables(summary: StoreSummary) -> Table:
    table = _table(
        "tables",
        ("table", "left"),
        *((name, "right") for name in ("rows", "new", "files", "size")),
        *((name, "left") for name in ("first (UTC)", "last (UTC)", "venues", "symbols")),
        *((name, "right") for name in ("gaps", "holes")),
    )
    for one in summary.tables:
        table.add_row(
            one.name,
            f"{one.rows:,}",
            "?" if one.new_rows is None else f"{one.new_rows:,}",
            f"{one.files:,}",
            size(one.bytes),
            when(one.first_ns),
            when(one.last_ns),
            _few(one.venues),
            _few(one.symbols),
            "-" if one.gaps is None else f"{one.gaps:,}",
            f"{one.holes:,}",
        )
    return table


def _markets(summary: StoreSummary) -> Table:
    table = _table(
        "markets",
        *((name, "left") for name in ("table", "venue", "symbol")),
        *((name, "right") for name in ("interval", "rows")),
        *((name, "left") for name in ("first (UTC)", "last (UTC)")),
        *((name, "right") for name in ("gaps", "holes", "empty", "longest hole")),
    )
    for one in summary.tables:
        for market in one.markets:
            table.add_row(one.name, *_market(market))
    return table


def _market(market: Market) -> Iterator[str]:
    yield market.venue
    yield market.symbol
    yield "-" if market.interval_s is None else duration(market.interval_s)
    yield f"{market.rows:,}"
    yield when(market.first_ns)
    yield when(market.last_ns)
    yield "-" if market.gaps is None else f"{market.gaps:,}"
    yield f"{market.holes:,}"
    yield duration(market.empty_s)
    yield duration(market.longest_hole_s)


def _notes(summary: StoreSummary) -> Iterator[str]:
    for one in summary.tables:
        if one.unreadable_files:
            yield f"{one.name}: {one.unreadable_files} files of messages that could not be read"
    if summary.unfinished:
        yield f"not counted, being written or cut short: {_few(summary.unfinished)}"
    if summary.foreign:
        yield f"not counted, no files of an archive: {_few(summary.foreign)}"


def _table(title: str, *columns: tuple[str, str]) -> Table:
    table = PlainTable(title=title, title_justify="left")
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    return table


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
