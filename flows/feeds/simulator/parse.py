"""Frames that are ticks already: what the simulator sends."""

import msgspec

from flows.feeds.base import Frame, ParsedFrame, dead_frame
from schemas.decoding import UNREADABLE
from schemas.ticks import Tick

VENUE = "simulator"


class TickParser:
    """Parser of ticks in their own JSON; everything in them stands as it is."""

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
