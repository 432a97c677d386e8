"""What a backfill tells: one JSON object for programs, tables for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from flows.bars.backfill import Result
from flows.bars.span import Span
from flows.host.terminal import PlainTable, visible_text
from flows.numeric.time import NS_PER_S, text_of

_MOST_HOLES = 10


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return all of it, ready to be encoded; times are ISO text in UTC."""
    return {
        "ok": not any(result.error for result in results),
        "new": sum(result.new for result in results),
        "revised": sum(result.revised for result in results),
        "total": sum(result.total for result in results),
        "markets": [_market(result) for result in results],
    }


def _market(result: Result) -> dict[str, Any]:
    return {
        "venue": result.market.venue,
        "symbol": result.market.symbol,
        "interval": result.market.interval,
        "from": text_of(result.span.from_ns),
        "to": text_of(result.span.to_ns),
        "new": result.new,
        "revised": result.revised,
        "total": result.total,
        "pages": result.pages,
        "running": result.running,
        "refused": result.refused,
        "reasons": result.reasons,
        "missing": result.missing,
        "holes": [
            {
                "from": text_of(hole.from_ns),
                "to": text_of(hole.to_ns),
                "bars": _bars(hole, result.market.interval_s),
            }
            for hole in result.holes
        ],
        "error": result.error or None,
    }


def as_tables(results: Sequence[Result]) -> Group:
    """Return a table of the markets, and below it holes, refused rows and errors."""
    table = PlainTable("market", "from", "to", "new", "revised", "total", "missing", box=None)
    for column in table.columns[3:]:
        column.justify = "right"
    notes: list[Text] = []
    for result in results:
        market = result.market
        counts = (result.new, result.revised, result.total, result.missing)
        table.add_row(
            f"{market.symbol} {market.interval}",
            text_of(result.span.from_ns),
            text_of(result.span.to_ns),
            *(f"{each:,}" for each in counts),
        )
        notes += _notes(result)
    return Group(table, *notes)


def _notes(result: Result) -> list[Text]:
    interval_s = result.market.interval_s
    symbol = result.market.symbol
    notes = [
        visible_text(f"{symbol}: no bars from {hole} ({_bars(hole, interval_s):,})")
        for hole in result.holes[:_MOST_HOLES]
    ]
    if len(result.holes) > _MOST_HOLES:
        notes.append(
            visible_text(f"{symbol}: {len(result.holes) - _MOST_HOLES:,} holes more; see --json")
        )
    if result.refused:
        notes.append(visible_text(f"{symbol}: {result.refused:,} rows are no bars", style="yellow"))
        notes += [visible_text(f"  {reason}", style="yellow") for reason in result.reasons]
    if result.error:
        notes.append(visible_text(result.error, style="red"))
    return notes


def _bars(hole: Span, interval_s: int) -> int:
    return (hole.to_ns - hole.from_ns) // (interval_s * NS_PER_S)
