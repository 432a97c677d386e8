"""Coinbase Advanced Trade frames to ticks.

Which channel gives ticks
    ``market_trades`` where the connection is subscribed to it, with quotes joined from the newest
    of ``ticker`` and book; all else is then control. Otherwise ``ticker``, whose ticks have no
    size, side or id. The choice is made by the acknowledgement, by the first ``market_trades``
    frame (data may overtake the acknowledgement), or by the caller: a replay looks ahead
    (:func:`subscribes_to_trades`), a client passes what it asked for. Once made, the choice stays,
    also after a reconnect, because a client subscribes to the same channels again.
The snapshot of ``market_trades``
    holds real trades from just before the subscription: they are ticks too, oldest first. After
    a reconnect they repeat what is known, by their ids. Of a live feed's snapshot the last
    :data:`flows.feeds.catch_up.CATCH_UP_S` seconds count: a quiet market's goes back for hours.
Side
    ``market_trades.side`` is the maker's (in a recording with quotes, 77 of 79 trades agree), so
    the taker's is the opposite one.
Lost messages
    ``sequence_num`` counts all messages of a connection, so a hole means loss only if the reader
    got all of them. That is so once the connection's heartbeats were seen, or an acknowledgement
    that lists no heartbeats; a recording without them was filtered, and its holes mean nothing.
    A feed that marks its connections has all of their messages. Always 0 means unknown. A loss also
    clears quotes and books, which may have missed a change. A lower number is a new connection in a
    recording that does not mark them, and otherwise a message that comes late or again.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from flows.feeds.base import Frame, ParsedFrame, bad_price, broken, dead_frame
from flows.feeds.catch_up import recent
from flows.feeds.coinbase_advanced.book import Book
from flows.feeds.coinbase_advanced.messages import (
    KNOWN_CHANNELS,
    OPTIONAL_TICKER_NUMBERS,
    OPTIONAL_TRADE_NUMBERS,
    TICKER_FIELDS,
    AnyMessage,
    BookMessage,
    HeartbeatsMessage,
    Message,
    RawTickers,
    RawTrades,
    SubscriptionsMessage,
    TickerEntry,
    TickerMessage,
    Trade,
    TradesMessage,
)
from flows.feeds.coinbase_exchange.parse import TAKER_OF_MAKER
from flows.feeds.lenient import decode_leniently, error_text
from flows.feeds.quotes import NO_QUOTE, NewestQuotes, positive_or_none, stated_quote
from flows.feeds.shapes.columns import Columns, leading
from flows.feeds.timestamps import IsoTime
from schemas.dead_letters import DeadLetter
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Tick

VENUE = Venue.COINBASE_ADVANCED.value
TRADES_CHANNEL = "market_trades"
BOOK_CHANNEL = "l2_data"

_SNAPSHOT = "snapshot"


class AdvancedParser:
    """Parse the frames of one feed; keep the newest quotes, the message number, the tick channel.

    Parameters
    ----------
    trades
        True if ``market_trades`` is known to be subscribed to.
    marked
        False for a recording that does not mark where a new connection begins.
    """

    venue = VENUE
    complete = False
    fields = TICKER_FIELDS

    def __init__(self, *, trades: bool = False, marked: bool = False) -> None:
        self._decode = msgspec.json.Decoder(Message, strict=False).decode
        self._decode_any = msgspec.json.Decoder(AnyMessage, strict=False).decode
        self._decode_raw_tickers = msgspec.json.Decoder(RawTickers).decode
        self._decode_raw_trades = msgspec.json.Decoder(RawTrades).decode
        self._decode_ticker = msgspec.json.Decoder(TickerEntry, strict=False).decode
        self._decode_trade = msgspec.json.Decoder(Trade, strict=False).decode
        self._time = IsoTime()
        self._trades = trades
        self._quotes = NewestQuotes()
        self._books: dict[str, Book] = {}
        self._marked = marked
        self._sequence: int | None = None
        self._complete = marked
        self._control = ParsedFrame()

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        reconnected = frame.fresh
        if reconnected:
            self._forget_connection()
        elif frame.after_loss:
            self._forget_quotes()
        try:
            message = self._decode(frame.text)
        except msgspec.ValidationError as error:
            result = self._unknown_or_broken(frame, str(error))
        except UNREADABLE as error:
            result = dead_frame(VENUE, frame, f"not JSON: {error}")
        else:
            lost, restarted = self._follow(message.sequence_num)
            result = self._read(frame, message)
            if lost or restarted:
                result = msgspec.structs.replace(result, lost=lost, reconnected=restarted)
        return msgspec.structs.replace(result, reconnected=True) if reconnected else result

    def usual(self, run: Columns) -> int:
        """Return how many first frames are one tick of ``ticker``, next in the connection."""
        if self._trades:
            return 0
        last = run.sequence[:1] if self._sequence is None else [self._sequence]
        steps = np.diff(np.concatenate([last, run.sequence]))
        next_one = (run.sequence >= 0) & (steps >= 0) & ((steps <= 1) | (not self._complete))
        return self._quotes.usual(run.first(leading(next_one)))

    def note(self, run: Columns) -> None:
        """Keep what the frames of a usual run leave behind."""
        self._sequence = int(run.sequence[-1])
        self._quotes.note(run)

    def _read(self, frame: Frame, message: Message) -> ParsedFrame:
        if type(message) is TickerMessage:
            events = message.events or ()
            if len(events) == 1:  # the usual case, without building another list
                entries = events[0].tickers or []
            else:
                entries = [entry for event in events for entry in event.tickers or ()]
            return self._tickers(frame, message.timestamp, message.sequence_num, entries, [])
        if type(message) is TradesMessage:
            changes = message.events or ()
            trades = [trade for event in changes for trade in event.trades or ()]
            is_old = any(event.type == _SNAPSHOT for event in changes)
            return self._market_trades(frame, message.sequence_num, trades, [], is_old=is_old)
        if type(message) is BookMessage:
            self._follow_book(message)
        elif type(message) is HeartbeatsMessage:
            self._complete = True
            return ParsedFrame(sent_ns=self._sent_ns(message.timestamp))
        elif type(message) is SubscriptionsMessage:
            told = [event.subscriptions or {} for event in message.events or ()]
            asked = {name for channels in told for name, products in channels.items() if products}
            self._trades = self._trades or TRADES_CHANNEL in asked
            self._complete = self._complete or "heartbeats" not in asked
        return self._control

    def _tickers(
        self,
        frame: Frame,
        timestamp: str | None,
        sequence: int | None,
        entries: Sequence[TickerEntry],
        dead: list[DeadLetter],
    ) -> ParsedFrame:
        try:
            ts_event_ns = self._time.ns(timestamp or "")
        except ValueError as error:
            return dead_frame(VENUE, frame, f"timestamp: {error}")
        ticks = []
        for entry in entries:
            quote = stated_quote(
                entry.best_bid, entry.best_ask, entry.best_bid_quantity, entry.best_ask_quantity
            )
            if quote is not None:
                self._quotes.keep(entry.product_id, quote, sequence)
            if self._trades:
                continue
            if entry.price - entry.price != 0.0:
                dead.append(bad_price(VENUE, msgspec.json.encode(entry)))
                continue
            bid, ask, bid_size, ask_size = quote or NO_QUOTE
            tick = Tick(
                symbol=entry.product_id,
                venue=VENUE,
                ts_event_ns=ts_event_ns,
                price=entry.price,
                ts_recv_ns=frame.ts_recv_ns,
                bid=bid,
                ask=ask,
                bid_size=bid_size,
                ask_size=ask_size,
                sequence=sequence or None,
            )
            ticks.append(tick)
        return ParsedFrame(ticks, dead) if ticks or dead else self._control

    def _market_trades(
        self,
        frame: Frame,
        sequence: int | None,
        trades: Sequence[Trade],
        dead: list[DeadLetter],
        *,
        is_old: bool,
    ) -> ParsedFrame:
        self._trades = True
        ticks = []
        oldest_first = list(reversed(trades))  # also where the venue gives no ids
        oldest_first.sort(key=_trade_id)
        for trade in oldest_first:
            if trade.price - trade.price != 0.0:
                dead.append(bad_price(VENUE, msgspec.json.encode(trade)))
                continue
            try:
                ts_event_ns = self._time.ns(trade.time)
            except ValueError as error:
                dead.append(broken(VENUE, msgspec.json.encode(trade), f"time: {error}"))
                continue
            bid, ask, bid_size, ask_size = self._quotes.of(trade.product_id)
            tick = Tick(
                symbol=trade.product_id,
                venue=VENUE,
                ts_event_ns=ts_event_ns,
                price=trade.price,
                ts_recv_ns=frame.ts_recv_ns,
                size=positive_or_none(trade.size),
                side=TAKER_OF_MAKER.get(trade.side or "", 0),
                bid=bid,
                ask=ask,
                bid_size=bid_size,
                ask_size=ask_size,
                trade_id=trade.trade_id or None,
                sequence=sequence or None,
            )
            ticks.append(tick)
        if is_old and self._marked:
            ticks = recent(ticks)
        return ParsedFrame(ticks, dead, complete=True)

    def _follow(self, sequence: int | None) -> tuple[bool, bool]:
        """Note the message's number; return whether messages were lost, and if it restarted."""
        if sequence is None:
            return False, False
        last = self._sequence
        if last is not None and sequence < last:
            if self._marked:
                return False, False
            self._forget_connection()
            self._sequence = sequence
            return False, True
        self._sequence = sequence
        if self._complete and last is not None and sequence > last + 1:
            self._forget_quotes()
            return True, False
        return False, False

    def _forget_connection(self) -> None:
        self._sequence = None
        self._complete = self._marked
        self._forget_quotes()

    def _forget_quotes(self) -> None:
        self._quotes.clear()
        self._books.clear()

    def _sent_ns(self, timestamp: str | None) -> int | None:
        try:
            return self._time.ns(timestamp or "")
        except ValueError:
            return None

    def _follow_book(self, message: BookMessage) -> None:
        for event in message.events or ():
            if event.type == _SNAPSHOT:
                self._books[event.product_id] = Book()
            book = self._books.get(event.product_id)
            if book is None:
                continue  # changes of a book that was never seen whole
            for level in event.updates or ():
                book.set(level.side, level.price_level, level.new_quantity)
            quote = stated_quote(*book.quote())
            if quote is not None:  # otherwise between two changes: keep the older
                self._quotes.keep(event.product_id, quote, message.sequence_num)

    def _unknown_or_broken(self, frame: Frame, detail: str) -> ParsedFrame:
        try:
            message = self._decode_any(frame.text)
        except UNREADABLE:
            return dead_frame(VENUE, frame, detail)
        if message.channel is None:
            if message.type == "error":
                return ParsedFrame(
                    warning=f"{VENUE}: {error_text(message.message, message.reason)}"
                )
            return self._control if message.type else dead_frame(VENUE, frame, detail)
        lost, restarted = self._follow(message.sequence_num)
        if message.channel not in KNOWN_CHANNELS:
            result = self._control
        elif message.channel == "ticker":
            result = self._rescue_tickers(frame, message, detail)
        elif message.channel == TRADES_CHANNEL:
            result = self._rescue_trades(frame, message, detail)
        else:
            if message.channel == BOOK_CHANNEL:
                self._forget_quotes()  # a change was lost
            result = dead_frame(VENUE, frame, detail)
        return msgspec.structs.replace(result, lost=lost, reconnected=restarted)

    def _rescue_tickers(self, frame: Frame, message: AnyMessage, detail: str) -> ParsedFrame:
        entries, dead = [], []
        for event in message.events or ():
            try:
                parts = self._decode_raw_tickers(event).tickers or ()
            except UNREADABLE as error:
                dead.append(broken(VENUE, event, str(error)))
                continue
            for part in parts:
                try:
                    entries.append(self._ticker_entry(part))
                except UNREADABLE as error:
                    dead.append(broken(VENUE, part, str(error)))
        if not entries:
            return ParsedFrame(dead=dead) if dead else dead_frame(VENUE, frame, detail)
        return self._tickers(frame, message.timestamp, message.sequence_num, entries, dead)

    def _rescue_trades(self, frame: Frame, message: AnyMessage, detail: str) -> ParsedFrame:
        trades, dead = [], []
        is_old = False
        for event in message.events or ():
            try:
                read = self._decode_raw_trades(event)
            except UNREADABLE as error:
                dead.append(broken(VENUE, event, str(error)))
                continue
            is_old = is_old or read.type == _SNAPSHOT
            for part in read.trades or ():
                try:
                    trades.append(self._trade(part))
                except UNREADABLE as error:
                    dead.append(broken(VENUE, part, str(error)))
        if not trades and not dead:
            return dead_frame(VENUE, frame, detail)
        return self._market_trades(frame, message.sequence_num, trades, dead, is_old=is_old)

    def _ticker_entry(self, part: msgspec.Raw) -> TickerEntry:
        try:
            return self._decode_ticker(part)
        except msgspec.ValidationError:
            return decode_leniently(part, TickerEntry, OPTIONAL_TICKER_NUMBERS)

    def _trade(self, part: msgspec.Raw) -> Trade:
        try:
            return self._decode_trade(part)
        except msgspec.ValidationError:
            return decode_leniently(part, Trade, OPTIONAL_TRADE_NUMBERS)


def subscribes_to_trades(texts: Iterable[str]) -> bool:
    """Return whether frames of a connection show a subscription to ``market_trades``."""
    decode = msgspec.json.Decoder(Message, strict=False).decode
    for text in texts:
        if f'"{TRADES_CHANNEL}"' not in text:
            continue
        try:
            message = decode(text)
        except UNREADABLE:
            continue
        if type(message) is TradesMessage:
            return True
        if type(message) is SubscriptionsMessage and any(
            (event.subscriptions or {}).get(TRADES_CHANNEL) for event in message.events or ()
        ):
            return True
    return False


def _trade_id(trade: Trade) -> int:
    return trade.trade_id or 0
