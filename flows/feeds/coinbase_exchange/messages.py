"""The venue's messages, as it sends them; numbers arrive as strings.

Reference: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

from typing import Annotated, Any

import msgspec

from schemas.ticks import Symbol

TradeId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Message(msgspec.Struct, gc=False, frozen=True, tag_field="type"):
    """Anything with a ``type``."""


class Ticker(_Message, frozen=True, tag="ticker"):
    """The newest trade with the quotes after it; ``side`` is the taker's.

    A cascade of matches gives one message, so ``trade_id`` skips. Recordings of 2021 have no quoted
    sizes. An empty side of the book is ``""`` or ``"0"``. Without time and id it is quotes alone.
    """

    product_id: Symbol
    price: float
    time: str | None = ""
    trade_id: TradeId | None = None
    sequence: TradeId | None = None
    side: str | None = ""
    last_size: float | None = None
    best_bid: float | None = None
    best_ask: float | None = None
    best_bid_size: float | None = None
    best_ask_size: float | None = None


class _Match(_Message, frozen=True):
    """One trade; ``side`` is the maker's."""

    product_id: Symbol
    price: float
    time: str
    trade_id: TradeId | None = None
    sequence: TradeId | None = None
    side: str | None = ""
    size: float | None = None


class Match(_Match, frozen=True, tag="match"):
    """A trade as it happens: every trade of a product."""


class LastMatch(_Match, frozen=True, tag="last_match"):
    """The newest trade from before the subscription."""


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """One a second and product; a ``last_trade_id`` of 0 names none."""

    product_id: Symbol
    last_trade_id: TradeId | None = None
    time: str | None = ""


class Error(_Message, frozen=True, tag="error"):
    """A refused request; the connection and its other products live on."""

    message: Any = ""
    reason: Any = ""


class Channel(msgspec.Struct, gc=False, frozen=True):
    """A channel of an acknowledgement and its products; some channels have none."""

    name: str
    product_ids: list[str] | None = None


class Subscriptions(_Message, frozen=True, tag="subscriptions"):
    """The acknowledgement: all that the connection is subscribed to by now.

    ``channels`` is a list of :class:`Channel`.
    """

    channels: msgspec.Raw = msgspec.Raw(b"[]")


class Snapshot(_Message, frozen=True, tag="snapshot"):
    """The whole order book."""


class L2Update(_Message, frozen=True, tag="l2update"):
    """Changed levels of the order book."""


Message = Ticker | L2Update | Match | Heartbeat | LastMatch | Snapshot | Subscriptions | Error

OPTIONAL_NUMBERS = (
    "trade_id",
    "sequence",
    "last_size",
    "size",
    "best_bid",
    "best_ask",
    "best_bid_size",
    "best_ask_size",
    "last_trade_id",
)


class AnyMessage(msgspec.Struct, gc=False, frozen=True):
    """The one field every message has, to tell unknown types from broken frames."""

    type: str


KNOWN_TYPES = frozenset(
    (
        "ticker",
        "heartbeat",
        "error",
        "subscriptions",
        "match",
        "last_match",
        "snapshot",
        "l2update",
    )
)
