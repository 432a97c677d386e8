"""What a venue's REST says of the time before the first tick; for charts alone."""

import msgspec

from schemas.ticks import Count32, Int64, Symbol


class BackfillBar(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was traded in [ts_open_ns, ts_open_ns + interval), as the venue says it.

    Attributes
    ----------
    ts_open_ns
        Start, nanoseconds since the UNIX epoch.
    open, high, low, close
        Prices in quote currency, > 0.
    volume
        Traded quantity in base currency; null where the venue does not say.
    """

    ts_open_ns: Int64
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """The bars of one symbol by rising time; no tick, no feature and no model comes from them."""

    symbol: Symbol
    venue: Symbol
    interval_s: Count32
    bars: list[BackfillBar]
