"""How far back trades are taken that a venue tells of after the fact."""

from collections.abc import Sequence

from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick

CATCH_UP_S = 50.0
"""Trades from longer before the newest one are left out, at the start and after an outage.

The flow restarts a symbol whose time goes back by more than a minute, and another ingest may have
gone on with it.
"""

_CATCH_UP_NS = int(CATCH_UP_S * NS_PER_S)


def recent(ticks: Sequence[Tick]) -> list[Tick]:
    """Return the ticks that lie less than :data:`CATCH_UP_S` before the newest of their symbol."""
    newest_ns: dict[str, int] = {}
    for tick in ticks:
        newest_ns[tick.symbol] = max(newest_ns.get(tick.symbol, 0), tick.ts_event_ns)
    return [tick for tick in ticks if newest_ns[tick.symbol] - tick.ts_event_ns <= _CATCH_UP_NS]
