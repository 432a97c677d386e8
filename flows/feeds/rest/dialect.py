"""How a venue is asked over HTTP, and how its answers are read; no I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from flows.feeds.quotes import Quote
from flows.feeds.rest.messages import Kind
from schemas.decoding import UNREADABLE
from schemas.ticks import Count64, Side


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes
    ----------
    path
        With its query.
    weight
        What it costs of the venue's limit.
    """

    kind: Kind
    path: str
    weight: float = 1.0


class StoredTrade(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A trade as a venue keeps it.

    Attributes
    ----------
    trade_id
        Rises by one with each trade of a symbol.
    time
        As the venue writes it.
    side
        The taker's: 1 bought, -1 sold, 0 unknown.
    """

    trade_id: int
    ts_event_ns: int
    price: float
    size: float | None
    side: Side


class Unreadable(Exception):  # noqa: N818  # it is no error of ours
    """An answer, or a part of it, that cannot be used; the message says why.

    Attributes
    ----------
    part
        The part that cannot be used; None for all of it.
    trade_id
        Id of the trade that it would be, as far as it can be read.
    """

    def __init__(self, why: str, part: bytes | None = None, trade_id: int | None = None) -> None:
        super().__init__(why)
        self.part = part
        self.trade_id = trade_id


class Dialect(Protocol):
    """A venue's requests and answers.

    Attributes
    ----------
    venue
        One of :class:`schemas.feeds.Venue`.
    url
        The venue's own address.
    weight_per_s, burst
        How much weight the venue takes a second, and at once.
    used_header
        Header with the weight that is used up of ``used_limit`` in a minute; None if there is none.
    page
        Most trades in one answer.
    """

    venue: str
    url: str
    weight_per_s: float
    burst: float
    used_header: str | None
    used_limit: int
    page: int

    def newest(self, symbol: str, known_id: int | None, limit: int) -> Request:
        """Return the request for the newest trades, those after a known one if that can be said."""
        ...

    def below(self, symbol: str, known_id: int, low_id: int) -> Request:
        """Return the request for trades just below an id, and above a known one."""
        ...

    def quote(self, symbol: str) -> Request:
        """Return the request for the best quotes."""
        ...

    def last(self, symbol: str) -> Request | None:
        """Return the request for the newest trade alone, for a venue that gives no trades."""
        ...

    def read_trades(self, body: bytes | msgspec.Raw) -> tuple[list[StoredTrade], list[Unreadable]]:
        """Return the trades of an answer, oldest first, and its unusable parts.

        Raises
        ------
        Unreadable
            It is no list of trades.
        """
        ...

    def read_last(self, body: bytes | msgspec.Raw) -> StoredTrade:
        """Return the newest trade; raises as :meth:`read_trades`."""
        ...

    def read_quote(self, body: bytes | msgspec.Raw) -> Quote | None:
        """Return the best quotes, None for crossed ones; raises as :meth:`read_trades`."""
        ...

    def refusal(self, status: int, body: bytes) -> str | None:
        """Return the venue's words if it refuses the symbol, None for any other trouble."""
        ...


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Named(msgspec.Struct, gc=False, frozen=True):
    """The id of a trade, by either venue's name."""

    trade_id: Count64 | None = None
    id: Count64 | None = None


def read_list(
    body: bytes | msgspec.Raw, read_one: Callable[[msgspec.Raw], StoredTrade]
) -> tuple[list[StoredTrade], list[Unreadable]]:
    """Return the trades of a list, oldest first, and its unusable parts.

    Parameters
    ----------
    read_one
        Reads a part, or raises :class:`Unreadable`.

    Raises
    ------
    Unreadable
        It is no list.
    """
    try:
        parts = _decode_list(body)
    except UNREADABLE as error:
        raise Unreadable(str(error)) from None
    trades, unusable = [], []
    for part in parts:
        try:
            trades.append(read_one(part))
        except Unreadable as error:
            unusable.append(error)
    trades.sort(key=lambda trade: trade.trade_id)
    return trades, unusable


def unusable_trade(error: Exception, part: bytes | msgspec.Raw) -> Unreadable:
    """Return what says why a trade cannot be used, with its id if that can be read."""
    try:
        named = msgspec.json.decode(part, type=_Named, strict=False)
    except UNREADABLE:
        return Unreadable(str(error), bytes(part))
    return Unreadable(str(error), bytes(part), named.trade_id or named.id)
