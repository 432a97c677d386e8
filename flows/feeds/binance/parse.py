"""Binance frames to ticks: ``trade`` joined with the newest ``bookTicker``; all else is control.

``bookTicker`` has no time of its own, so "newest" is by arrival and by the book's update ids. Those
do not number trades, hence ticks carry no ``sequence``.
"""

from collections.abc import Mapping

import msgspec

from flows.feeds.base import Frame, ParsedFrame, bad_price, broken, dead_frame
from flows.feeds.binance.messages import (
    NULL,
    OPTIONAL_QUOTE_NUMBERS,
    OPTIONAL_TRADE_NUMBERS,
    BookTicker,
    Combined,
    Kind,
    Trade,
)
from flows.feeds.binance.pairs import split_pair
from flows.feeds.complaints import with_value
from flows.feeds.lenient import decode_leniently
from flows.feeds.quotes import NewestQuotes, positive_or_none, stated_quote
from flows.feeds.timestamps import epoch_to_ns
from schemas.dead_letters import Reason
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Side, Tick

VENUE = Venue.BINANCE.value


class BinanceParser:
    """Parse the frames of one feed; keep the newest quote of each symbol.

    Parameters
    ----------
    pairs
        Normalised symbols by the venue's own (``BTCUSDT``), as far as they are known; others are
        split by :func:`flows.feeds.binance.pairs.split_pair`.
    """

    venue = VENUE

    def __init__(self, pairs: Mapping[str, str] | None = None) -> None:
        self._decode_combined = msgspec.json.Decoder(Combined).decode
        self._decode_kind = msgspec.json.Decoder(Kind).decode
        self._decode_trade = msgspec.json.Decoder(Trade, strict=False).decode
        self._decode_book = msgspec.json.Decoder(BookTicker, strict=False).decode
        self._symbols: dict[str, str | None] = dict(pairs or {})
        self._quotes = NewestQuotes()
        self._control = ParsedFrame()

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        if frame.fresh or frame.after_loss:
            self._quotes.clear()  # older than the hole in the stream
        result = self._parse(frame)
        if frame.fresh:
            result = msgspec.structs.replace(result, reconnected=True)
        return result

    def _parse(self, frame: Frame) -> ParsedFrame:
        kind: str | None
        body: str | msgspec.Raw
        try:
            try:
                combined = self._decode_combined(frame.text)
                kind, body = combined.stream.rpartition("@")[2], combined.data
                if kind.startswith("!bookTicker"):
                    kind = "bookTicker"
            except msgspec.ValidationError:
                body = frame.text
                message = self._decode_kind(body)
                kind = _kind_of(message)
                if message.error is not None or message.code is not None:
                    return ParsedFrame(warning=f"{VENUE}: {frame.text[:500]}")
                if kind is None:
                    return dead_frame(VENUE, frame, "neither a stream's message nor an answer")
            if kind == "bookTicker":
                return self._book(self._read_book(body))
            if kind == "trade":
                return self._trade(frame, self._read_trade(body))
        except msgspec.ValidationError as error:
            return dead_frame(VENUE, frame, with_value(str(error), body))
        except UNREADABLE as error:
            return dead_frame(VENUE, frame, f"not JSON: {error}")
        return self._control

    def _read_book(self, body: str | msgspec.Raw) -> BookTicker:
        try:
            return self._decode_book(body)
        except msgspec.ValidationError:
            return decode_leniently(body, BookTicker, OPTIONAL_QUOTE_NUMBERS)

    def _read_trade(self, body: str | msgspec.Raw) -> Trade:
        try:
            return self._decode_trade(body)
        except msgspec.ValidationError:
            return decode_leniently(body, Trade, OPTIONAL_TRADE_NUMBERS)

    def _book(self, book: BookTicker) -> ParsedFrame:
        quote = stated_quote(book.b, book.a, book.B, book.A)
        if quote is not None:
            self._quotes.keep(book.s, quote, book.u)
        return self._control

    def _trade(self, frame: Frame, trade: Trade) -> ParsedFrame:
        if trade.s not in self._symbols:
            name = trade.s.upper()
            self._symbols[trade.s] = self._symbols.get(name) or split_pair(name)
        symbol = self._symbols[trade.s]
        if symbol is None:
            detail = f"symbol {trade.s!r} has no separator, and its quote asset is not certain"
            return _refused(frame, detail, Reason.UNKNOWN_SYMBOL)
        try:
            ts_event_ns = epoch_to_ns(trade.T)
        except ValueError as error:
            return _refused(frame, f"T: {error}", Reason.BROKEN_FRAME)
        if trade.p - trade.p != 0.0:
            return ParsedFrame(dead=[bad_price(VENUE, frame.text)])
        bid, ask, bid_size, ask_size = self._quotes.of(trade.s)
        tick = Tick(
            symbol=symbol,
            venue=VENUE,
            ts_event_ns=ts_event_ns,
            price=trade.p,
            ts_recv_ns=frame.ts_recv_ns,
            size=positive_or_none(trade.q),
            side=taker_of(buyer_is_maker=trade.m),
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            trade_id=trade.t or None,
        )
        return ParsedFrame([tick], complete=True)


def taker_of(*, buyer_is_maker: bool | None) -> Side:
    """Return the taker's side: 1 bought, -1 sold, 0 unknown."""
    if buyer_is_maker is None:
        return 0
    return -1 if buyer_is_maker else 1


def _refused(frame: Frame, detail: str, reason: Reason) -> ParsedFrame:
    return ParsedFrame(dead=[broken(VENUE, frame.text, detail, reason)])


def _any_stated(message: Kind) -> bool:
    return any(value != NULL for value in (message.b, message.B, message.a, message.A))


def _kind_of(message: Kind) -> str | None:
    if message.e is not None:
        return message.e
    if message.s is not None and _any_stated(message):
        return "bookTicker"
    return "answer" if message.result is not msgspec.UNSET else None
