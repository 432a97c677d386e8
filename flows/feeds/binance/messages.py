"""The venue's messages, as it sends them; numbers arrive as strings, times as milliseconds.

Reference: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from typing import Annotated, Any

import msgspec

from schemas.ticks import Symbol

NULL = msgspec.Raw(b"null")
TradeId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Combined(msgspec.Struct, gc=False, frozen=True):
    """The envelope of a combined stream; a raw stream sends ``data`` alone."""

    stream: str
    data: msgspec.Raw


class Trade(msgspec.Struct, gc=False, frozen=True):
    """One trade. ``m``: the buyer was the maker, so the taker sold; ``E``: the venue's clock."""

    s: Symbol
    p: float
    T: int
    t: TradeId | None = None
    q: float | None = None
    m: bool | None = None
    E: int | None = None


class BookTicker(msgspec.Struct, gc=False, frozen=True):
    """The best quotes, at every change; without a time of their own. ``u`` numbers the changes."""

    s: Symbol
    u: TradeId | None = None
    b: float | None = None
    B: float | None = None
    a: float | None = None
    A: float | None = None


OPTIONAL_TRADE_NUMBERS = ("t", "q", "E")
OPTIONAL_QUOTE_NUMBERS = ("u", "b", "B", "a", "A")


class Kind(msgspec.Struct, gc=False, frozen=True):
    """What tells the types of a raw stream apart; ``bookTicker`` has no ``e`` of its own."""

    e: str | None = None
    s: str | None = None
    b: msgspec.Raw = NULL
    a: msgspec.Raw = NULL
    B: msgspec.Raw = NULL
    A: msgspec.Raw = NULL
    id: Any = None
    result: Any = msgspec.UNSET
    error: Any = None
    code: Any = None
