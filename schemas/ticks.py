"""The tick: one trade or quote update, as every venue's parser produces it."""

from typing import Annotated, Literal

import msgspec

EARLIEST_NS = 1_230_768_000_000_000_000
"""2009-01-01, before the first trade of any of this: no event is older."""

LATEST_NS = 9_213_000_000_000_000_000
"""Four months before nanoseconds since 1970 leave 64 bits: adding an hour must stay possible."""

Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Side = Literal[-1, 0, 1]
# Columns hold 64 or 32 bits: what does not fit is refused while decoding.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count32 = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Count64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Tick(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``ticks.raw``; the Kafka key is the symbol.

    What a venue does not say is null, never 0. Types are checked on decoding; ranges (positive
    prices, an uncrossed book, a credible time) by the consumer, which dead-letters what fails.

    Attributes
    ----------
    symbol
        Normalised pair, ``BTC-USD``.
    venue
        Where it was traded: ``coinbase-exchange``, ``coinbase-advanced``, ``binance``,
        ``simulator``.
    ts_event_ns
        The venue's own time of the event, nanoseconds since the UNIX epoch.
    ts_recv_ns
        When the frame arrived here, same unit; null where the recording does not know.
    price
        Price of the trade in quote currency, > 0.
    size
        Quantity of the trade in base currency, >= 0.
    side
        Taker's side: +1 bought, -1 sold, 0 unknown.
    bid, ask
        Best quotes at the trade, > 0, bid <= ask.
    bid_size, ask_size
        Quantities at the best quotes in base currency, >= 0.
    trade_id
        The venue's id of the trade, rising within a symbol.
    sequence
        The venue's message number.
    gap
        True where ticks were lost just before this one.
    """

    symbol: Symbol
    venue: Symbol
    ts_event_ns: Int64
    price: float
    ts_recv_ns: Int64 | None = None
    size: float | None = None
    side: Side = 0
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    trade_id: Count64 | None = None
    sequence: Int64 | None = None
    gap: bool = False


class Candle(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``candles``: what was traded in [ts_open_ns, ts_open_ns + interval_s).

    Attributes
    ----------
    ts_open_ns
        Start, nanoseconds since the UNIX epoch, a multiple of the interval.
    open, high, low, close
        Prices in quote currency, in the order of the log.
    tick_count
        Ticks in it, > 0.
    volume
        Traded quantity in base currency; null where no tick had a size.
    vwap
        Volume-weighted mean price of the ticks with a size; null where the volume is null or 0.
    gap
        True where ticks were lost before one of its ticks.
    partition, closed_offset
        Which message of ``ticks.raw`` closed it.
    """

    symbol: Symbol
    venue: Symbol
    ts_open_ns: Int64
    interval_s: Count32
    open: float
    high: float
    low: float
    close: float
    tick_count: Count64
    volume: float | None = None
    vwap: float | None = None
    gap: bool = False
    partition: Count32 | None = None
    closed_offset: Count64 | None = None
