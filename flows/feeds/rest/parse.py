"""Polled answers to ticks: trades joined with the quotes of the answer before them.

A quote is taken after the trades of its round, so a trade gets one from before it: what the market
did later is in no tick. A quote of a round that was not taken lately says nothing.
"""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, bad_price, broken, dead_frame
from flows.feeds.quotes import NO_QUOTE, Quote, positive_or_none
from flows.feeds.rest.dialect import Dialect, StoredTrade, Unreadable
from flows.feeds.rest.messages import Answer
from flows.numeric.time import NS_PER_S
from schemas.dead_letters import DeadLetter
from schemas.decoding import UNREADABLE
from schemas.ticks import Tick

QUOTE_AGE_NS = 5 * NS_PER_S

_HALF_SECOND_NS = NS_PER_S // 2


class RestParser:
    """Parse the answers of one venue; keep the newest quote of each symbol.

    Parameters
    ----------
    dialect
        Of the venue.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.venue = dialect.venue
        self._dialect = dialect
        self._decode = msgspec.json.Decoder(Answer).decode
        self._quotes: dict[str, tuple[int | None, Quote]] = {}

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        if frame.fresh or frame.after_loss:
            self._quotes.clear()
        try:
            answer = self._decode(frame.text)
        except UNREADABLE as error:
            parsed = dead_frame(self.venue, frame, f"not an answer: {error}")
        else:
            parsed = self._read(frame, answer)
            if answer.date_ns is not None:
                # The header has whole seconds: half a second more is the least wrong.
                parsed.sent_ns = answer.date_ns + _HALF_SECOND_NS
        parsed.polled = True
        parsed.reconnected = frame.fresh
        return parsed

    def _read(self, frame: Frame, answer: Answer) -> ParsedFrame:
        if answer.text is not None:
            return dead_frame(self.venue, frame, "the answer is not JSON")
        try:
            if answer.kind == "trades":
                trades, unusable = self._dialect.read_trades(answer.body)
                return self._ticks(frame, answer, trades, unusable)
            quote = self._dialect.read_quote(answer.body)
            if quote is not None:
                self._quotes[answer.symbol] = (frame.ts_recv_ns, quote)
            if answer.kind == "last":
                return self._ticks(frame, answer, [self._dialect.read_last(answer.body)], [])
        except Unreadable as error:
            return dead_frame(self.venue, frame, str(error))
        return ParsedFrame()

    def _ticks(
        self,
        frame: Frame,
        answer: Answer,
        trades: list[StoredTrade],
        unusable: list[Unreadable],
    ) -> ParsedFrame:
        bid, ask, bid_size, ask_size = self._quote(answer.symbol, frame.ts_recv_ns)
        from_id = answer.from_id or 0
        dead: list[DeadLetter] = [
            broken(self.venue, each.part or frame.text, str(each))
            for each in unusable
            if each.trade_id is None or each.trade_id >= from_id
        ]
        ticks = []
        for trade in trades:
            if trade.trade_id < from_id:
                continue
            if trade.price - trade.price != 0.0:
                dead.append(bad_price(self.venue, msgspec.json.encode(trade)))
                continue
            ticks.append(
                Tick(
                    symbol=answer.symbol,
                    venue=self.venue,
                    ts_event_ns=trade.ts_event_ns,
                    price=trade.price,
                    ts_recv_ns=frame.ts_recv_ns,
                    size=positive_or_none(trade.size),
                    side=trade.side,
                    bid=bid,
                    ask=ask,
                    bid_size=bid_size,
                    ask_size=ask_size,
                    trade_id=trade.trade_id,
                )
            )
        return ParsedFrame(ticks, dead, complete=True)

    def _quote(self, symbol: str, now_ns: int | None) -> Quote:
        taken_ns, quote = self._quotes.get(symbol, (None, NO_QUOTE))
        if taken_ns is not None and now_ns is not None and now_ns - taken_ns > QUOTE_AGE_NS:
            return NO_QUOTE
        return quote
