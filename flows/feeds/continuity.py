"""Decide whether ticks were lost before a tick, and whether it is new.

A gap is a known loss, never a mere skip of ids on a channel that coalesces:

- a channel that promises every trade skips an id (Coinbase ``matches`` and ``market_trades``,
  Binance ``trade``);
- a new connection follows an old one, or messages of a connection are missing, and the next id of
  the symbol does not follow its newest one (without ids: in any case);
- a heartbeat named an id that had not come when the next heartbeat came, and never came;
- in a recording that does not mark its connections, an id is skipped across a silence;
- the feed has just begun, so that nobody knows what came before.

A gap that belongs to a tick which is dropped stays with the symbol until its next tick.

An id that was admitted before is a repeat and is dropped: venues send trades again after a
reconnect. An older id that was not admitted before is passed on as it is. A trade without an id
takes the place of one skipped id.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from flows.feeds.base import ParsedFrame
from flows.feeds.shapes.columns import Columns
from flows.feeds.silence import Silence
from flows.numeric.time import NS_PER_HOUR
from schemas.ticks import Tick

MEMORY_NS = NS_PER_HOUR
"""Beyond this a lower id is a new numbering, not a repeat; the features' memory is as long."""

_HOLES = 256


class _Track(msgspec.Struct, gc=False):
    """The newest tick of one symbol, and what is still open.

    Attributes
    ----------
    ts_event_ns
        None while only a heartbeat or an old trade has named an id.
    breaks, silences
        How many there had been when the newest tick came.
    announced
        Id in the newest heartbeat, if it was ahead of the ticks.
    overdue
        Id that had been announced by one heartbeat and had not come at the next.
    owed
        A tick that carried a gap was dropped.
    holes
        First and last id of each range that was skipped, the newest ranges last.
    unnamed
        Trades without an id since the newest id.
    """

    trade_id: int | None
    first_id: int | None
    ts_event_ns: int | None
    breaks: int
    silences: int
    announced: int | None = None
    overdue: int | None = None
    owed: bool = False
    holes: list[tuple[int, int]] = []
    unnamed: int = 0


class Continuity:
    """Continuity of all symbols of one feed.

    Parameters
    ----------
    begins
        True for a feed that begins now: the first tick of each symbol is marked, because what came
        before it was missed.

    Attributes
    ----------
    gaps
        Ticks that were marked.
    gaps_by_symbol
        The same by symbol.
    repeats
        Ticks that were dropped.
    behind
        Heartbeats that named a newer trade than the newest tick.
    """

    def __init__(self, *, begins: bool = False) -> None:
        self.gaps = 0
        self.gaps_by_symbol: Counter[str] = Counter()
        self.repeats = 0
        self.behind = 0
        self._begins = begins
        self._silence = Silence()
        self._tracks: dict[str, _Track] = {}
        self._breaks = 0
        self._silences = 0

    def note_time(self, ts_recv_ns: int | None, frame: ParsedFrame) -> None:
        """Note when a frame of a recording arrived; to be called before its ticks are admitted.

        Parameters
        ----------
        ts_recv_ns
            Nanoseconds since the UNIX epoch; None where only the ticks have times.
        """
        if ts_recv_ns is None:
            if not frame.ticks:
                return
            ts_recv_ns = frame.ticks[0].ts_event_ns
        if self._silence.ends_with(ts_recv_ns, heartbeat=frame.last_trade is not None):
            self._silences += 1

    def note_times(self, times_ns: Sequence[int], *, through: bool) -> int:
        """Note when frames with ticks arrived; return how many were noted.

        Parameters
        ----------
        through
            False: only those up to the first after a silence.
        """
        noted, silences = self._silence.note_all(times_ns, through=through)
        self._silences += silences
        return noted

    def following(self, run: Columns, *, complete: bool) -> tuple[int, bool]:
        """Return how many of the first ticks would be passed on without a mark, each in its turn.

        There may be more: what is open for a symbol, and the first of its ticks, are left.

        Returns
        -------
        How many, and whether they would be so across silences, too.
        """
        count = len(run)
        skips = count
        for symbol, rows in run.by_symbol():
            track = self._tracks.get(symbol)
            ids = run.trade_id[rows]
            if track is None or track.ts_event_ns is None or track.owed or track.overdue:
                count = min(count, int(rows[0]))
                continue
            unbroken = track.breaks == self._breaks
            if ids[0] < 0:
                usual = (ids < 0) & (unbroken and not complete)
            elif track.trade_id is None or track.first_id is None:
                usual = np.zeros(len(ids), np.bool_)
            else:
                steps = np.diff(ids, prepend=np.int64(track.trade_id))
                unbroken = unbroken and track.silences == self._silences
                usual = steps == 1 if complete or not unbroken else steps > 0
                usual &= ids > 0
                skipped = rows[steps != 1]
                skips = min(skips, int(skipped[0])) if len(skipped) else skips
            if not usual.all():
                count = min(count, int(rows[np.argmin(usual)]))
        return count, skips >= count

    def note_run(self, run: Columns) -> None:
        """Note ticks that :meth:`following` has found, as :meth:`admit` would."""
        for symbol, rows in run.by_symbol():
            track = self._tracks[symbol]
            ids = run.trade_id[rows]
            if ids[0] >= 0 and track.trade_id is not None:
                before = np.concatenate([[track.trade_id], ids[:-1]])
                skips = np.flatnonzero(ids != before + 1)[-_HOLES:]
                if len(skips):
                    lows, highs = (before[skips] + 1).tolist(), (ids[skips] - 1).tolist()
                    track.holes = [*track.holes, *zip(lows, highs, strict=True)][-_HOLES:]
                track.trade_id, track.unnamed = int(ids[-1]), 0
            track.ts_event_ns = int(run.ts_event_ns[rows[-1]])
            track.breaks, track.silences = self._breaks, self._silences

    def observe(self, frame: ParsedFrame, *, lost: bool = False) -> None:
        """Note what a frame says of the connection; to be called before its ticks are admitted.

        Parameters
        ----------
        lost
            Frames are known to be missing just before this one, whatever it says itself.
        """
        if frame.reconnected or frame.lost or lost:
            self._breaks += 1
        if frame.last_trade is not None:
            self._heartbeat(*frame.last_trade)

    def fill_in(self, tick: Tick, *, complete: bool) -> Tick | None:
        """Return a trade from before the subscription if it is new for a symbol seen before.

        For another symbol it only names the id that the next trade must follow.
        """
        track = self._tracks.get(tick.symbol)
        new = tick.trade_id
        if track is None:
            if new is not None:
                self._tracks[tick.symbol] = self._anchor(new)
            return None
        if track.ts_event_ns is None or track.trade_id is None or new is None:
            return None
        return self.admit(tick, complete=complete) if new > track.trade_id else None

    def is_early(self, tick: Tick) -> bool:
        """Return whether ids are missing between the symbol's newest trade and this one.

        So they are before the first trade of a feed that begins: another ingest may still be
        writing them.
        """
        track = self._tracks.get(tick.symbol)
        if tick.trade_id is None:
            return False
        if track is None or track.ts_event_ns is None:
            return self._begins
        if track.trade_id is None:
            return False
        return tick.trade_id > track.trade_id + 1 + track.unnamed

    def follow(self, tick: Tick) -> bool:
        """Note a tick whose id is the one after its symbol's newest, if nothing else is to note.

        Returns
        -------
        Whether it is such a tick, which :meth:`admit` would pass on as it is. Of any other one
        nothing is noted.
        """
        track = self._tracks.get(tick.symbol)
        new = tick.trade_id
        if (
            track is None
            or new is None
            or track.trade_id is None
            or new != track.trade_id + 1
            or track.ts_event_ns is None
            or track.first_id is None
            or track.overdue is not None
            or track.owed
            or tick.gap
        ):
            return False
        track.trade_id, track.unnamed, track.ts_event_ns = new, 0, tick.ts_event_ns
        track.breaks, track.silences = self._breaks, self._silences
        return True

    def admit(self, tick: Tick, *, complete: bool = False) -> Tick | None:
        """Return the tick, marked if there is a gap before it, or None for a repeat.

        Parameters
        ----------
        complete
            Whether the tick's channel promises every trade.
        """
        track = self._tracks.get(tick.symbol)
        new = tick.trade_id
        if track is None:
            self._tracks[tick.symbol] = _Track(
                new, new, tick.ts_event_ns, self._breaks, self._silences
            )
            return self._mark(tick) if self._begins or tick.gap else tick
        known = track.trade_id
        if new is None and known is not None and complete:
            # The next id tells how many trades are missing, also across a new connection.
            track.unnamed += 1
            return self._passed(track, tick, gap=track.ts_event_ns is None and self._begins)
        if known is None or new is None:
            gap = track.breaks != self._breaks or (track.ts_event_ns is None and self._begins)
        elif track.ts_event_ns is None:
            gap = self._begins or (complete and new > known + 1 + track.unnamed)
            track.first_id = new
        elif new > known:
            is_skipped = new > known + 1 + track.unnamed
            gap = is_skipped and self._is_loss(track, new, complete=complete)
            if new != known + 1:
                track.holes = [*track.holes[1 - _HOLES :], (known + 1, new - 1)]
        elif abs(tick.ts_event_ns - track.ts_event_ns) > MEMORY_NS:
            gap = True  # a new numbering
            track.first_id, track.holes = new, []
        elif self._is_repeat(track, new):
            self.repeats += 1
            track.owed = track.owed or tick.gap
            return None
        else:
            return self._mark(tick) if tick.gap else tick
        if new is not None:
            track.trade_id, track.unnamed = new, 0
            if track.first_id is None:
                track.first_id = new
            if track.overdue is not None and new >= track.overdue:
                track.overdue = None
        track.breaks, track.silences = self._breaks, self._silences
        return self._passed(track, tick, gap=gap)

    def _passed(self, track: _Track, tick: Tick, *, gap: bool) -> Tick:
        """Note a tick that is passed on; return it with the mark that it is due."""
        track.ts_event_ns = tick.ts_event_ns
        if not (gap or track.owed or tick.gap):
            return tick
        track.owed = False
        return self._mark(tick)

    def _is_loss(self, track: _Track, new: int, *, complete: bool) -> bool:
        """Return whether skipped ids before a new one are a known loss."""
        return (
            complete
            or track.breaks != self._breaks
            or track.silences != self._silences
            or (track.overdue is not None and new > track.overdue)
        )

    def _is_repeat(self, track: _Track, trade_id: int) -> bool:
        """Return whether an id at or below the newest one has come before."""
        if track.first_id is not None and trade_id < track.first_id:
            return track.breaks != self._breaks  # what a venue sends again after a reconnect
        return not _fill(track.holes, trade_id)

    def _mark(self, tick: Tick) -> Tick:
        self.gaps += 1
        self.gaps_by_symbol[tick.symbol] += 1
        return tick if tick.gap else msgspec.structs.replace(tick, gap=True)

    def _anchor(self, trade_id: int) -> _Track:
        return _Track(trade_id, None, None, self._breaks, self._silences)

    def _heartbeat(self, symbol: str, trade_id: int) -> None:
        track = self._tracks.get(symbol)
        if track is None:
            # The newest trade at the subscription: what follows must continue it.
            self._tracks[symbol] = self._anchor(trade_id)
            return
        known = track.trade_id
        if known is None:
            return
        if trade_id <= known:
            track.announced = None
            return
        self.behind += 1
        if track.announced is not None and track.announced > known:
            track.overdue = track.announced
        track.announced = trade_id


def _fill(holes: list[tuple[int, int]], trade_id: int) -> bool:
    """Return whether an id lies in a hole, and take it out."""
    for index, (low, high) in enumerate(holes):
        if low <= trade_id <= high:
            rest = [(low, trade_id - 1), (trade_id + 1, high)]
            holes[index : index + 1] = [(first, last) for first, last in rest if first <= last]
            return True
    return False
