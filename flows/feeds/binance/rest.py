"""Binance over HTTP: ``/api/v3/trades`` for the trades, ``bookTicker`` for the quotes.

Older trades are at ``historicalTrades``, which not every host of the venue has; what cannot be had
is marked as a gap.

Reference: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

import msgspec

from flows.feeds.binance.messages import TradeId
from flows.feeds.binance.parse import VENUE, taker_of
from flows.feeds.lenient import decode_leniently
from flows.feeds.quotes import Quote, stated_quote
from flows.feeds.rest.dialect import Request, StoredTrade, Unreadable, read_list, unusable_trade
from flows.feeds.timestamps import epoch_to_ns
from schemas.decoding import UNREADABLE

URL = "https://data-api.binance.vision"

_TRADES_WEIGHT = 25.0
_QUOTE_WEIGHT = 2.0
_OPTIONAL_TRADE_NUMBERS = ("qty",)
_OPTIONAL_QUOTE_NUMBERS = ("bidPrice", "bidQty", "askPrice", "askQty")
_WRONG_SYMBOL = frozenset((-1100, -1121))


class _Trade(msgspec.Struct, gc=False, frozen=True):
    """One trade. ``isBuyerMaker``: the buyer was the maker, so the taker sold."""

    id: TradeId
    price: float
    time: int
    qty: float | None = None
    isBuyerMaker: bool | None = None  # noqa: N815  # the venue's name


class _BookTicker(msgspec.Struct, gc=False, frozen=True):
    """The best quotes."""

    bidPrice: float | None = None  # noqa: N815
    bidQty: float | None = None  # noqa: N815
    askPrice: float | None = None  # noqa: N815
    askQty: float | None = None  # noqa: N815


class _Refusal(msgspec.Struct, gc=False, frozen=True):
    code: int
    msg: str = ""


class BinanceRest:
    """Binance's requests and answers."""

    venue: str = VENUE
    url = URL
    weight_per_s = 80.0  # the venue takes 6,000 a minute and address
    burst = 500.0
    used_header: str | None = "x-mbx-used-weight-1m"
    used_limit = 6_000
    page = 1_000

    def __init__(self) -> None:
        self._decode_refusal = msgspec.json.Decoder(_Refusal).decode

    def newest(self, symbol: str, known_id: int | None, limit: int) -> Request:  # noqa: ARG002
        """Return the request for the newest trades."""
        path = f"/api/v3/trades?symbol={_name(symbol)}&limit={limit}"
        return Request("trades", path, _TRADES_WEIGHT)

    def below(self, symbol: str, known_id: int, low_id: int) -> Request:
        """Return the request for trades just below an id."""
        first_id = max(known_id + 1, low_id - self.page)
        path = (
            f"/api/v3/historicalTrades?symbol={_name(symbol)}"
            f"&limit={min(self.page, low_id - first_id)}&fromId={first_id}"
        )
        return Request("trades", path, _TRADES_WEIGHT)

    def quote(self, symbol: str) -> Request:
        """Return the request for the best quotes."""
        path = f"/api/v3/ticker/bookTicker?symbol={_name(symbol)}"
        return Request("quote", path, _QUOTE_WEIGHT)

    def last(self, symbol: str) -> Request | None:  # noqa: ARG002
        """Return None: nothing but its trades has their ids."""
        return None

    def read_trades(self, body: bytes | msgspec.Raw) -> tuple[list[StoredTrade], list[Unreadable]]:
        """Return the trades of an answer, oldest first, and its unusable parts."""
        return read_list(body, _stored)

    def read_last(self, body: bytes | msgspec.Raw) -> StoredTrade:
        """Return the trade of an answer that is one."""
        return _stored(body)

    def read_quote(self, body: bytes | msgspec.Raw) -> Quote | None:
        """Return the best quotes, None for crossed ones."""
        try:
            book: _BookTicker = decode_leniently(body, _BookTicker, _OPTIONAL_QUOTE_NUMBERS)
        except UNREADABLE as error:
            raise Unreadable(str(error)) from None
        return stated_quote(book.bidPrice, book.askPrice, book.bidQty, book.askQty)

    def refusal(self, status: int, body: bytes) -> str | None:
        """Return the venue's words if it refuses the symbol."""
        if status != 400:
            return None
        try:
            refusal = self._decode_refusal(body)
        except UNREADABLE:
            return None
        return (refusal.msg or str(refusal.code)) if refusal.code in _WRONG_SYMBOL else None


def _name(symbol: str) -> str:
    return symbol.replace("-", "")


def _stored(part: bytes | msgspec.Raw) -> StoredTrade:
    try:
        trade: _Trade = decode_leniently(part, _Trade, _OPTIONAL_TRADE_NUMBERS)
        return StoredTrade(
            trade_id=trade.id,
            ts_event_ns=epoch_to_ns(trade.time),
            price=trade.price,
            size=trade.qty,
            side=taker_of(buyer_is_maker=trade.isBuyerMaker),
        )
    except (*UNREADABLE, ValueError) as error:
        raise unusable_trade(error, part) from None
