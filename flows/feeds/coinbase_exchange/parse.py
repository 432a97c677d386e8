"""Coinbase Exchange frames to ticks: ``ticker`` alone; all else is control.

``match`` and ``last_match`` repeat what ``ticker`` says. ``ticker.side`` is the taker's already.
"""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, all_finite, broken, dead_frame
from flows.feeds.coinbase_exchange.messages import (
    KNOWN_TYPES,
    AnyMessage,
    Error,
    Heartbeat,
    Message,
    Ticker,
)
from flows.feeds.timestamps import IsoTime
from schemas.dead_letters import Reason
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Side, Tick

VENUE = Venue.COINBASE_EXCHANGE.value

_TAKER: dict[str, Side] = {"buy": 1, "sell": -1}


class ExchangeParser:
    """Parse the frames of one feed; keep nothing between frames."""

    venue = VENUE

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Message, strict=False).decode
        self._decode_any = msgspec.json.Decoder(AnyMessage).decode
        self._time = IsoTime()
        self._control = ParsedFrame()

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        result = self._parse(frame)
        if frame.fresh:
            result = msgspec.structs.replace(result, reconnected=True)
        return result

    def _parse(self, frame: Frame) -> ParsedFrame:
        try:
            message = self._decode(frame.text)
        except msgspec.ValidationError as error:
            return self._unknown_or_broken(frame, str(error))
        except UNREADABLE as error:
            return dead_frame(VENUE, frame, f"not JSON: {error}")
        if type(message) is Ticker:
            return self._ticker(frame, message)
        if type(message) is Heartbeat and message.last_trade_id is not None:
            return ParsedFrame(last_trade=(message.product_id, message.last_trade_id))
        if type(message) is Error:
            return ParsedFrame(warning=f"{VENUE}: {message.message}: {message.reason}")
        return self._control

    def _ticker(self, frame: Frame, message: Ticker) -> ParsedFrame:
        try:
            ts_event_ns = self._time.ns(message.time)
        except ValueError as error:
            return dead_frame(VENUE, frame, f"time: {error}")
        tick = Tick(
            symbol=message.product_id,
            venue=VENUE,
            ts_event_ns=ts_event_ns,
            price=message.price,
            ts_recv_ns=frame.ts_recv_ns,
            size=message.last_size,
            side=_TAKER.get(message.side, 0),
            bid=message.best_bid,
            ask=message.best_ask,
            bid_size=message.best_bid_size,
            ask_size=message.best_ask_size,
            trade_id=message.trade_id,
            sequence=message.sequence,
        )
        if not all_finite(tick):
            detail = "a number is NaN or infinite"
            return ParsedFrame(dead=[broken(VENUE, frame.text, detail, Reason.BAD_PRICE)])
        return ParsedFrame([tick])

    def _unknown_or_broken(self, frame: Frame, detail: str) -> ParsedFrame:
        try:
            kind = self._decode_any(frame.text).type
        except UNREADABLE:
            return dead_frame(VENUE, frame, detail)
        return dead_frame(VENUE, frame, detail) if kind in KNOWN_TYPES else self._control
