"""The venue's messages, as it sends them; numbers arrive as strings.

Reference: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

from typing import Annotated

import msgspec

from schemas.ticks import Symbol

TradeId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Message(msgspec.Struct, gc=False, frozen=True, tag_field="type"):
    """Anything with a ``type``."""


class Ticker(_Message, frozen=True, tag="ticker"):
    """One per trade. ``side`` is the taker's; recordings of 2021 have no quoted sizes."""

    product_id: Symbol
    price: float
    time: str
    trade_id: TradeId | None = None
    sequence: TradeId | None = None
    side: str = ""
    last_size: float | None = None
    best_bid: float | None = None
    best_ask: float | None = None
    best_bid_size: float | None = None
    best_ask_size: float | None = None


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """One a second and product."""

    product_id: Symbol
    last_trade_id: TradeId | None = None


class Error(_Message, frozen=True, tag="error"):
    """A refused request; the connection and its other products live on."""

    message: str = ""
    reason: str = ""


class Subscriptions(_Message, frozen=True, tag="subscriptions"):
    """The acknowledgement."""


class Match(_Message, frozen=True, tag="match"):
    """The trade again that ``ticker`` reports, with the maker's side."""


class LastMatch(_Message, frozen=True, tag="last_match"):
    """A trade from before the subscription."""


class Snapshot(_Message, frozen=True, tag="snapshot"):
    """The whole order book."""


class L2Update(_Message, frozen=True, tag="l2update"):
    """Changed levels of the order book."""


Message = Ticker | L2Update | Match | Heartbeat | LastMatch | Snapshot | Subscriptions | Error


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
