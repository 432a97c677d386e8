"""Binance frames to ticks: ``trade`` joined with the newest ``bookTicker``; all else is control.

``bookTicker`` has no time of its own, so "newest" is by arrival. Update ids of the book do not
number trades, hence ticks carry no ``sequence``.
"""

import math

import msgspec

from flows.feeds.base import Frame, ParsedFrame, all_finite, broken, dead_frame
from flows.feeds.binance.messages import BookTicker, Combined, Kind, Trade
from flows.feeds.timestamps import epoch_to_ns
from schemas.dead_letters import Reason
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Tick

VENUE = Venue.BINANCE.value

# Longer names first: a symbol ending in FDUSD also ends in USD.
# fmt: off
QUOTE_ASSETS = (
    "FDUSD", "BIDR", "BKRW", "BUSD", "BVND", "DOGE", "EURI", "IDRT", "TUSD", "USD1", "USDC",
    "USDP", "USDS", "USDT", "ARS", "AUD", "BNB", "BRL", "BTC", "COP", "CZK", "DAI", "DOT", "ETH",
    "EUR", "GBP", "IDR", "JPY", "MXN", "NGN", "PAX", "PLN", "RON", "RUB", "SOL", "TRX", "TRY",
    "UAH", "USD", "VAI", "XRP", "ZAR",
)
# fmt: on


def normalise(symbol: str) -> str | None:
    """Return ``BTC-USDT`` for ``BTCUSDT``, or None where the quote asset is not known.

    The venue sends no separator. The longest quote asset wins, unless a shorter one leaves a base
    that is a well-known asset itself: ``BNBUSD`` is BNB in USD, not "BN" in BUSD.
    """
    splits = [
        (symbol[: -len(quote)], quote)
        for quote in QUOTE_ASSETS
        if symbol.endswith(quote) and len(symbol) > len(quote)
    ]
    if not splits:
        return None
    base, quote = next((split for split in splits if split[0] in QUOTE_ASSETS), splits[0])
    return f"{base}-{quote}"


class BinanceParser:
    """Parse the frames of one feed; keep the newest quote of each symbol."""

    venue = VENUE

    def __init__(self) -> None:
        self._decode_combined = msgspec.json.Decoder(Combined).decode
        self._decode_kind = msgspec.json.Decoder(Kind).decode
        self._decode_trade = msgspec.json.Decoder(Trade, strict=False).decode
        self._decode_book = msgspec.json.Decoder(BookTicker, strict=False).decode
        self._symbols: dict[str, str | None] = {}
        self._quotes: dict[str, BookTicker] = {}
        self._control = ParsedFrame()

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        if frame.fresh:
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
                return self._book(frame, self._decode_book(body))
            if kind == "trade":
                return self._trade(frame, self._decode_trade(body))
        except msgspec.ValidationError as error:
            return dead_frame(VENUE, frame, str(error))
        except UNREADABLE as error:
            return dead_frame(VENUE, frame, f"not JSON: {error}")
        return self._control

    def _book(self, frame: Frame, quote: BookTicker) -> ParsedFrame:
        if not math.isfinite(quote.b + quote.B + quote.a + quote.A):
            return self._refuse(frame, "a quote is NaN or infinite", Reason.BAD_PRICE)
        self._quotes[quote.s] = quote
        return self._control

    def _trade(self, frame: Frame, trade: Trade) -> ParsedFrame:
        if trade.s not in self._symbols:
            self._symbols[trade.s] = normalise(trade.s)
        symbol = self._symbols[trade.s]
        if symbol is None:
            detail = f"symbol {trade.s!r} ends in no known quote asset"
            return self._refuse(frame, detail, Reason.UNKNOWN_SYMBOL)
        try:
            ts_event_ns = epoch_to_ns(trade.T)
        except ValueError as error:
            return self._refuse(frame, f"T: {error}", Reason.BROKEN_FRAME)
        quote = self._quotes.get(trade.s)
        tick = Tick(
            symbol=symbol,
            venue=VENUE,
            ts_event_ns=ts_event_ns,
            price=trade.p,
            ts_recv_ns=frame.ts_recv_ns,
            size=trade.q,
            side=-1 if trade.m else 1,
            bid=None if quote is None else quote.b,
            ask=None if quote is None else quote.a,
            bid_size=None if quote is None else quote.B,
            ask_size=None if quote is None else quote.A,
            trade_id=trade.t,
        )
        if not all_finite(tick):
            return self._refuse(frame, "a number is NaN or infinite", Reason.BAD_PRICE)
        return ParsedFrame([tick])

    def _refuse(self, frame: Frame, detail: str, reason: Reason) -> ParsedFrame:
        return ParsedFrame(dead=[broken(VENUE, frame.text, detail, reason)])


def _kind_of(message: Kind) -> str | None:
    if message.e is not None:
        return message.e
    if message.s is not None and None not in (message.b, message.B, message.a, message.A):
        return "bookTicker"
    return "answer" if message.result is not msgspec.UNSET else None
