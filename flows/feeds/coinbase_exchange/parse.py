"""Coinbase Exchange frames to ticks.

Which channel gives a product's ticks
    ``matches`` where the connection is subscribed to it for this product, with quotes joined from
    the newest ``ticker``, which is control then. Otherwise ``ticker``. The acknowledgement says so,
    or a ``match`` itself; a new connection is asked anew. Until either has come, ``ticker`` gives
    the ticks; a trade that both channels name is one tick, by its id. Where the connection is known
    to have asked for ``matches``, the ticks of ``ticker`` wait for an acknowledgement that names
    their product, :data:`UNDECIDED_NS` at most, since data can come before it.
``last_match``
    is the newest trade from before the subscription. It is a tick only if it is new, which is so
    after a reconnect during which the product traded. A second subscription on the same connection
    repeats it where the product's matches flow already: there it is none.
Side
    ``ticker.side`` is the taker's, ``match.side`` the maker's, so the taker's is the opposite one.
New connections in recordings that do not mark them
    An acknowledgement after the first ticks is taken for one. Where it belongs to the same
    connection nothing is lost, and contiguous ids show it.
"""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, bad_price, dead_frame
from flows.feeds.coinbase_exchange.messages import (
    KNOWN_TYPES,
    OPTIONAL_NUMBERS,
    AnyMessage,
    Channel,
    Error,
    Heartbeat,
    L2Update,
    LastMatch,
    Match,
    Message,
    Subscriptions,
    Ticker,
)
from flows.feeds.coinbase_exchange.undecided import Undecided
from flows.feeds.lenient import decode_leniently, error_text
from flows.feeds.quotes import NO_QUOTE, NewestQuotes, Quote, positive_or_none, stated_quote
from flows.feeds.shapes.columns import Columns
from flows.feeds.shapes.learning import SYMBOL_SLOT, TIME_SLOT, Fields, slot
from flows.feeds.timestamps import IsoTime
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Side, Tick

VENUE = Venue.COINBASE_EXCHANGE.value
MATCHES_CHANNEL = "matches"

_TAKER: dict[str, Side] = {"buy": 1, "sell": -1, "BUY": 1, "SELL": -1}
TAKER_OF_MAKER: dict[str, Side] = {"buy": -1, "sell": 1, "BUY": -1, "SELL": 1}


class ExchangeParser:
    """Parse the frames of one feed; keep the newest quotes and the products with ``matches``.

    Parameters
    ----------
    marked
        False for a recording that does not mark where a new connection begins.
    asks_for_matches
        True if each connection is known to ask for ``matches``.
    """

    venue = VENUE
    complete = False
    fields = Fields(
        read={
            ("product_id",): SYMBOL_SLOT,
            ("time",): TIME_SLOT,
            ("price",): slot("price"),
            ("last_size",): slot("size"),
            ("best_bid",): slot("bid"),
            ("best_ask",): slot("ask"),
            ("best_bid_size",): slot("bid_size"),
            ("best_ask_size",): slot("ask_size"),
            ("trade_id",): slot("trade_id"),
            ("sequence",): slot("sequence"),
        },
        constant=frozenset([("type",), ("side",)]),
    )

    def __init__(self, *, marked: bool = True, asks_for_matches: bool = False) -> None:
        self._decode = msgspec.json.Decoder(Message, strict=False).decode
        self._decode_any = msgspec.json.Decoder(AnyMessage).decode
        self._decode_channels = msgspec.json.Decoder(list[Channel]).decode
        self._time = IsoTime()
        self._marked = marked
        self._matched: set[str] = set()
        self._flowing: set[str] = set()
        self._acknowledged: set[str] = set()
        self._quotes = NewestQuotes()
        self._traded = False
        self._undecided = Undecided() if asks_for_matches else None
        self._control = ParsedFrame()

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        if frame.fresh:
            self._matched.clear()
            self._flowing.clear()
            self._acknowledged.clear()
            if self._undecided is not None:
                self._undecided = Undecided()
        if frame.fresh or frame.after_loss:
            self._quotes.clear()
        parsed = self._parse(frame)
        return msgspec.structs.replace(parsed, reconnected=True) if frame.fresh else parsed

    def usual(self, run: Columns) -> int:
        """Return how many of the first frames are ticks of ``ticker``."""
        if self._undecided is not None or self._matched:
            return 0
        return self._quotes.usual(run)

    def note(self, run: Columns) -> None:
        """Keep what the frames of a usual run leave behind."""
        self._traded = True
        self._quotes.note(run)

    def _parse(self, frame: Frame) -> ParsedFrame:
        try:
            message = self._decode(frame.text)
        except msgspec.ValidationError as error:
            return self._blank_unknown_or_broken(frame, str(error))
        except UNREADABLE as error:
            return dead_frame(VENUE, frame, f"not JSON: {error}")
        return self._read(frame, message)

    def _read(self, frame: Frame, message: Message) -> ParsedFrame:
        kind = type(message)
        if kind is Ticker:
            return self._ticker(frame, message)  # type: ignore[arg-type]
        if kind is Match or kind is LastMatch:
            return self._match(frame, message)  # type: ignore[arg-type]
        if kind is L2Update:
            return self._control
        if isinstance(message, Heartbeat):
            return self._heartbeat(message)
        if isinstance(message, Subscriptions):
            return self._acknowledgement(message)
        if isinstance(message, Error):
            return ParsedFrame(warning=f"{VENUE}: {error_text(message.message, message.reason)}")
        return self._control

    def _ticker(self, frame: Frame, message: Ticker) -> ParsedFrame:
        quote = stated_quote(
            message.best_bid, message.best_ask, message.best_bid_size, message.best_ask_size
        )
        if quote is not None:
            self._quotes.keep(message.product_id, quote, message.sequence)
        is_quote = not message.time and not message.trade_id
        if is_quote or message.product_id in self._matched:
            return self._control
        side = _TAKER.get(message.side or "", 0)
        parsed = self._tick(frame, message, message.last_size, side, quote or NO_QUOTE)
        if self._undecided is not None:
            now_ns = frame.ts_recv_ns or 0
            parsed.ticks = self._undecided.pass_on(message.product_id, parsed.ticks, now_ns)
        return parsed

    def _match(self, frame: Frame, message: Match | LastMatch) -> ParsedFrame:
        self._matched.add(message.product_id)
        if type(message) is Match:
            self._flowing.add(message.product_id)
        elif self._marked and message.product_id in self._flowing:
            return self._control
        quote = self._quotes.of(message.product_id)
        side = TAKER_OF_MAKER.get(message.side or "", 0)
        parsed = self._tick(frame, message, message.size, side, quote)
        if type(message) is LastMatch and parsed.ticks:
            return ParsedFrame(complete=True, replayed=parsed.ticks[0])
        parsed.complete = True
        return parsed

    def _tick(
        self,
        frame: Frame,
        message: Ticker | Match | LastMatch,
        size: float | None,
        side: Side,
        quote: Quote,
    ) -> ParsedFrame:
        try:
            ts_event_ns = self._time.ns(message.time or "")
        except ValueError as error:
            return dead_frame(VENUE, frame, f"time: {error}")
        if message.price - message.price != 0.0:
            return ParsedFrame(dead=[bad_price(VENUE, frame.text)])
        self._traded = True
        bid, ask, bid_size, ask_size = quote
        tick = Tick(
            symbol=message.product_id,
            venue=VENUE,
            ts_event_ns=ts_event_ns,
            price=message.price,
            ts_recv_ns=frame.ts_recv_ns,
            size=positive_or_none(size),
            side=side,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            trade_id=message.trade_id or None,
            sequence=message.sequence or None,
        )
        return ParsedFrame([tick])

    def _heartbeat(self, message: Heartbeat) -> ParsedFrame:
        try:
            sent_ns = self._time.ns(message.time or "")
        except ValueError:
            sent_ns = None
        if not message.last_trade_id:
            return ParsedFrame(sent_ns=sent_ns)
        return ParsedFrame(last_trade=(message.product_id, message.last_trade_id), sent_ns=sent_ns)

    def _acknowledgement(self, message: Subscriptions) -> ParsedFrame:
        try:
            channels = self._decode_channels(message.channels)
        except UNREADABLE:
            return self._control
        matched = {
            product
            for channel in channels
            if channel.name == MATCHES_CHANNEL
            for product in channel.product_ids or ()
        }
        if self._acknowledged <= matched:
            self._matched |= matched
        else:
            self._matched = set(matched)  # shorter than before: of another connection
        self._acknowledged = matched
        if self._undecided is not None:
            named = {product for channel in channels for product in channel.product_ids or ()}
            return ParsedFrame(self._undecided.decide(named, self._matched))
        if self._marked or not self._traded:
            return self._control
        return ParsedFrame(reconnected=True)

    def _blank_unknown_or_broken(self, frame: Frame, detail: str) -> ParsedFrame:
        try:
            kind = self._decode_any(frame.text).type
            if kind not in KNOWN_TYPES:
                return self._control
            message: Message = decode_leniently(frame.text, Message, OPTIONAL_NUMBERS)
        except UNREADABLE:
            return dead_frame(VENUE, frame, detail)
        return self._read(frame, message)
