"""The venue's messages, as it sends them; numbers arrive as strings.

Reference: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/
"""

from typing import Annotated, Any

import msgspec

from flows.feeds.shapes.learning import SYMBOL_SLOT, TIME_SLOT, Fields, slot
from schemas.ticks import Symbol

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class TickerEntry(msgspec.Struct, gc=False, frozen=True):
    """The newest price and the best quotes; no size, side or id of a trade."""

    product_id: Symbol
    price: float
    best_bid: float | None = None
    best_ask: float | None = None
    best_bid_quantity: float | None = None
    best_ask_quantity: float | None = None


class Trade(msgspec.Struct, gc=False, frozen=True):
    """One trade; ``side`` is the maker's."""

    product_id: Symbol
    price: float
    time: str
    trade_id: Number | None = None
    size: float | None = None
    side: str | None = ""


class Level(msgspec.Struct, gc=False, frozen=True):
    """A changed level of the book; quantity 0 removes it."""

    side: str
    price_level: float
    new_quantity: float


class TickerEvent(msgspec.Struct, gc=False, frozen=True):
    """A ``snapshot`` or an ``update``."""

    tickers: list[TickerEntry] | None


class TradesEvent(msgspec.Struct, gc=False, frozen=True):
    """A ``snapshot`` or an ``update``, newest trade first."""

    trades: list[Trade] | None
    type: str = ""


class BookEvent(msgspec.Struct, gc=False, frozen=True):
    """A ``snapshot`` (all levels) or an ``update``."""

    type: str
    product_id: Symbol
    updates: list[Level] | None


class SubscriptionsEvent(msgspec.Struct, gc=False, frozen=True):
    """All that the connection is subscribed to: product ids by channel, of which some are empty."""

    subscriptions: dict[str, Any] | None


class _Envelope(msgspec.Struct, gc=False, frozen=True, tag_field="channel", kw_only=True):
    """Every message. ``sequence_num`` counts all messages of the connection, from 0.

    A list that is null is empty: that is how some servers write it.
    """

    timestamp: str | None
    sequence_num: Number | None = 0


class TickerMessage(_Envelope, frozen=True, tag="ticker"):
    """About seven a second; its time is the envelope's."""

    events: list[TickerEvent] | None


class TradesMessage(_Envelope, frozen=True, tag="market_trades"):
    """The trades of 250 ms."""

    events: list[TradesEvent] | None


class BookMessage(_Envelope, frozen=True, tag="l2_data"):
    """What a subscription to ``level2`` delivers."""

    events: list[BookEvent] | None


class SubscriptionsMessage(_Envelope, frozen=True, tag="subscriptions"):
    """The acknowledgement; data may come before it."""

    events: list[SubscriptionsEvent] | None


class HeartbeatsMessage(_Envelope, frozen=True, tag="heartbeats"):
    """One a second, keeps quiet channels open."""


class CandlesMessage(_Envelope, frozen=True, tag="candles"):
    """Five-minute bars."""


Message = (
    TickerMessage
    | TradesMessage
    | BookMessage
    | SubscriptionsMessage
    | HeartbeatsMessage
    | CandlesMessage
)

OPTIONAL_TICKER_NUMBERS = ("best_bid", "best_ask", "best_bid_quantity", "best_ask_quantity")
OPTIONAL_TRADE_NUMBERS = ("trade_id", "size")

KNOWN_CHANNELS = frozenset(
    ("ticker", "market_trades", "l2_data", "subscriptions", "heartbeats", "candles")
)


class AnyMessage(msgspec.Struct, gc=False, frozen=True):
    """The least that can be said of a message, to sort unknown ones from broken ones."""

    channel: str | None = None
    type: str | None = None
    message: Any = ""
    reason: Any = ""
    timestamp: str | None = ""
    sequence_num: Number | None = 0
    events: list[msgspec.Raw] | None = None


class RawTickers(msgspec.Struct, gc=False, frozen=True):
    """A ticker event whose entries are still undecoded."""

    tickers: list[msgspec.Raw] | None


class RawTrades(msgspec.Struct, gc=False, frozen=True):
    """A trades event whose entries are still undecoded."""

    trades: list[msgspec.Raw] | None
    type: str = ""


_ENTRY = ("events", 0, "tickers", 0)

TICKER_FIELDS = Fields(
    read={
        ("timestamp",): TIME_SLOT,
        ("sequence_num",): slot("sequence"),
        (*_ENTRY, "product_id"): SYMBOL_SLOT,
        (*_ENTRY, "price"): slot("price"),
        (*_ENTRY, "best_bid"): slot("bid"),
        (*_ENTRY, "best_ask"): slot("ask"),
        (*_ENTRY, "best_bid_quantity"): slot("bid_size"),
        (*_ENTRY, "best_ask_quantity"): slot("ask_size"),
    },
    constant=frozenset([("channel",)]),
)
"""Of a ``ticker`` message with one entry."""
