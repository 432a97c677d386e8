"""Simulator frames to ticks: each frame is one tick as JSON, and its ids skip nothing."""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, dead_frame
from flows.feeds.lenient import decode_leniently
from flows.feeds.quotes import NO_QUOTE, positive_or_none, stated_quote
from flows.feeds.shapes.columns import Columns
from flows.feeds.shapes.learning import FLOAT_NAMES, INTEGER_NAMES, SYMBOL_SLOT, Fields, slot
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Tick

VENUE = Venue.SIMULATOR.value
OPTIONAL_NUMBERS = (
    "ts_recv_ns",
    "size",
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "trade_id",
    "sequence",
)


class TickParser:
    """Parse ticks in their own JSON; change nothing but numbers that say nothing."""

    venue = VENUE
    complete = True
    fields = Fields(
        read={
            ("symbol",): SYMBOL_SLOT,
            **{(name,): slot(name) for name in (*FLOAT_NAMES, *INTEGER_NAMES[:-1])},
        },
        constant=frozenset([("venue",), ("gap",)]),
    )

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Tick).decode

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        try:
            tick = self._read(frame.text)
        except UNREADABLE as error:
            result = dead_frame(VENUE, frame, str(error))
        else:
            result = ParsedFrame([_without_blanks(tick)], complete=True)
        return msgspec.structs.replace(result, reconnected=True) if frame.fresh else result

    def usual(self, run: Columns) -> int:
        """Return how many of the first frames are ticks: all of them."""
        return len(run)

    def note(self, run: Columns) -> None:
        """Keep nothing."""

    def _read(self, text: str) -> Tick:
        try:
            return self._decode(text)
        except msgspec.ValidationError:
            return decode_leniently(text, Tick, OPTIONAL_NUMBERS)


def _without_blanks(tick: Tick) -> Tick:
    """Return the tick with null for a quote, size or id that says nothing."""
    stated = (tick.bid, tick.ask, tick.bid_size, tick.ask_size)
    quote = stated_quote(*stated) or NO_QUOTE
    size = positive_or_none(tick.size)
    if quote == stated and size == tick.size and tick.trade_id != 0:
        return tick
    bid, ask, bid_size, ask_size = quote
    return msgspec.structs.replace(
        tick,
        size=size,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        trade_id=tick.trade_id or None,
    )
