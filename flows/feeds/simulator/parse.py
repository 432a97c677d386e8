"""Simulator frames to ticks: each frame is one tick as JSON."""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, dead_frame
from schemas.decoding import UNREADABLE
from schemas.feeds import Venue
from schemas.ticks import Tick

VENUE = Venue.SIMULATOR.value


class TickParser:
    """Parse ticks in their own JSON; change nothing in them."""

    venue = VENUE

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(Tick).decode

    def parse(self, frame: Frame) -> ParsedFrame:
        """Read one frame."""
        try:
            tick = self._decode(frame.text)
        except UNREADABLE as error:
            result = dead_frame(VENUE, frame, str(error))
        else:
            result = ParsedFrame([tick])
        return msgspec.structs.replace(result, reconnected=True) if frame.fresh else result
