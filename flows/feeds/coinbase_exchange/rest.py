"""Coinbase Exchange over HTTP: ``/products/X/trades`` for the trades, ``/ticker`` for the quotes.

Reference: https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products
"""

from collections.abc import Mapping

import msgspec

from flows.feeds.coinbase_exchange.messages import TradeId
from flows.feeds.coinbase_exchange.parse import TAKER_OF_MAKER, VENUE
from flows.feeds.lenient import decode_leniently
from flows.feeds.quotes import Quote, stated_quote
from flows.feeds.rest.dialect import Request, StoredTrade, Unreadable, read_list, unusable_trade
from flows.feeds.timestamps import IsoTime
from schemas.decoding import UNREADABLE
from schemas.ticks import Side

URL = "https://api.exchange.coinbase.com"

_TAKER_UNKNOWN: Mapping[str, Side] = {}
_OPTIONAL_NUMBERS = ("size", "bid", "ask")


class _Trade(msgspec.Struct, gc=False, frozen=True):
    """One trade; ``side`` is the maker's, and the ticker has none."""

    trade_id: TradeId
    price: float
    time: str
    size: float | None = None
    side: str | None = ""


class _Ticker(msgspec.Struct, gc=False, frozen=True):
    """The best quotes, which are all that is needed where there are trades."""

    bid: float | None = None
    ask: float | None = None


class _Refusal(msgspec.Struct, gc=False, frozen=True):
    message: str


class ExchangeRest:
    """Coinbase Exchange's requests and answers."""

    venue: str = VENUE
    url = URL
    weight_per_s = 8.0  # the venue takes 10 requests a second and address
    burst = 8.0
    used_header: str | None = None
    used_limit = 0
    page = 1_000

    def __init__(self) -> None:
        self._time = IsoTime()
        self._decode_refusal = msgspec.json.Decoder(_Refusal).decode

    def newest(self, symbol: str, known_id: int | None, limit: int) -> Request:
        """Return the request for the newest trades, those after a known one if there is one."""
        after = "" if known_id is None else f"&before={known_id}"  # the venue's word for newer
        return Request("trades", f"/products/{symbol}/trades?limit={limit}{after}")

    def below(self, symbol: str, known_id: int, low_id: int) -> Request:  # noqa: ARG002
        """Return the request for trades just below an id."""
        path = f"/products/{symbol}/trades?limit={self.page}&after={low_id}"
        return Request("trades", path)

    def quote(self, symbol: str) -> Request:
        """Return the request for the best quotes."""
        return Request("quote", f"/products/{symbol}/ticker")

    def last(self, symbol: str) -> Request | None:
        """Return the request for the newest trade with the best quotes."""
        return Request("last", f"/products/{symbol}/ticker")

    def read_trades(self, body: bytes | msgspec.Raw) -> tuple[list[StoredTrade], list[Unreadable]]:
        """Return the trades of an answer, oldest first, and its unusable parts."""
        return read_list(body, lambda part: self._trade(part, TAKER_OF_MAKER))

    def read_last(self, body: bytes | msgspec.Raw) -> StoredTrade:
        """Return the newest trade."""
        return self._trade(body, _TAKER_UNKNOWN)

    def read_quote(self, body: bytes | msgspec.Raw) -> Quote | None:
        """Return the best quotes, None for crossed ones."""
        try:
            ticker: _Ticker = decode_leniently(body, _Ticker, _OPTIONAL_NUMBERS)
        except UNREADABLE as error:
            raise Unreadable(str(error)) from None
        return stated_quote(ticker.bid, ticker.ask, None, None)

    def refusal(self, status: int, body: bytes) -> str | None:
        """Return the venue's words if it refuses the symbol."""
        if status not in (400, 404):
            return None
        try:
            return self._decode_refusal(body).message
        except UNREADABLE:
            return None

    def _trade(self, part: bytes | msgspec.Raw, takers: Mapping[str, Side]) -> StoredTrade:
        try:
            trade: _Trade = decode_leniently(part, _Trade, _OPTIONAL_NUMBERS)
            return StoredTrade(
                trade_id=trade.trade_id,
                ts_event_ns=self._time.ns(trade.time),
                price=trade.price,
                size=trade.size,
                side=takers.get(trade.side or "", 0),
            )
        except (*UNREADABLE, ValueError) as error:
            raise unusable_trade(error, part) from None
