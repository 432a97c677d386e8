"""Decide whether ticks were lost before a tick, and whether it is new.

Where ticks carry trade ids, the ids decide: a jump is a gap, contiguous ids prove that nothing is
missing, whatever happened to the connection. Where they do not, a reconnect or a lost message marks
the next tick of every symbol seen before.

Right after a reconnect a venue repeats what it has already sent: ticks of a symbol are dropped
until the first id above the newest known one. At any other time an id that does not rise is passed
on; the consumer counts it as a duplicate.
"""

import msgspec

from flows.feeds.base import ParsedFrame
from flows.numeric.time import NS_PER_HOUR
from schemas.ticks import Tick

MEMORY_NS = NS_PER_HOUR
"""Beyond this a lower id is a new numbering, not a repeat; the features' memory is as long."""


class _Track(msgspec.Struct, gc=False):
    """The newest tick of one symbol."""

    trade_id: int | None
    ts_event_ns: int | None
    breaks: int


class Continuity:
    """Continuity of all symbols of one feed.

    Attributes
    ----------
    gaps
        Ticks that were marked.
    repeats
        Ticks that were dropped.
    behind
        Heartbeats that named a newer trade than the newest tick.
    """

    def __init__(self) -> None:
        self.gaps = 0
        self.repeats = 0
        self.behind = 0
        self._tracks: dict[str, _Track] = {}
        self._breaks = 0
        self._resuming: set[str] = set()

    def observe(self, frame: ParsedFrame) -> None:
        """Note what a frame says of the connection; to be called before its ticks are admitted."""
        if frame.reconnected:
            self._resuming = set(self._tracks)
        if frame.reconnected or frame.lost:
            self._breaks += 1
        if frame.last_trade is not None:
            self._heartbeat(*frame.last_trade)

    def admit(self, tick: Tick) -> Tick | None:
        """Return the tick, marked if there is a gap before it, or None for a repeat."""
        track = self._tracks.get(tick.symbol)
        if track is None:
            self._tracks[tick.symbol] = _Track(tick.trade_id, tick.ts_event_ns, self._breaks)
            return tick
        known, new = track.trade_id, tick.trade_id
        if known is None or new is None:
            gap = track.breaks != self._breaks
        elif new > known:
            gap = new != known + 1
        elif tick.symbol not in self._resuming:
            return tick
        elif track.ts_event_ns is None:
            gap = False  # known from heartbeats alone, so this one is new
        elif abs(tick.ts_event_ns - track.ts_event_ns) <= MEMORY_NS:
            self.repeats += 1
            return None
        else:
            gap = True
        if self._resuming:
            self._resuming.discard(tick.symbol)
        if new is not None:
            track.trade_id = new
        track.ts_event_ns = tick.ts_event_ns
        track.breaks = self._breaks
        if not gap:
            return tick
        self.gaps += 1
        return msgspec.structs.replace(tick, gap=True)

    def _heartbeat(self, symbol: str, trade_id: int) -> None:
        track = self._tracks.get(symbol)
        if track is None or track.trade_id is None:
            # The newest trade at the subscription: what follows must continue it.
            self._tracks[symbol] = _Track(trade_id, None, self._breaks)
        elif trade_id > track.trade_id:
            self.behind += 1  # the next tick's id says whether it was lost or is on its way
