"""From frames to messages: parse, shift, order, find gaps, encode, count. No I/O of its own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import structlog

from flows.feeds.base import Feed, Frame, ParsedFrame, Parser
from flows.feeds.clock import ClockWatch
from flows.feeds.continuity import Continuity
from flows.feeds.loop import LoopShift
from flows.feeds.pacing import Pacing
from flows.feeds.reorder import HOLD_NS, Reorder
from flows.feeds.shapes.columns import Columns
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick

MAX_PAYLOAD_BYTES = 500_000
"""Of a dead letter: in base64 it must fit into a broker's usual limit of one megabyte."""

MAX_FRAMES = 8_192
IDLE_S = 0.002


@dataclass(slots=True)
class Counts:
    """What has passed; ``frames = tick_frames + control + dead_frames``.

    A frame is a tick frame if any part of it gave a tick, also if that tick was a repeat; its bad
    parts are dead letters nevertheless.
    """

    frames: int = 0
    tick_frames: int = 0
    control: int = 0
    dead_frames: int = 0
    ticks: int = 0
    dead_letters: int = 0
    gaps: int = 0
    repeats: int = 0


@dataclass(slots=True)
class Messages:
    """What to produce: key and value of each message."""

    ticks: list[tuple[bytes, bytes]] = field(default_factory=list)
    dead: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ticks or self.dead)


@dataclass(slots=True)
class Passed:
    """What has passed of some frames, before it is encoded."""

    ticks: list[Tick] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class FrameProcessor:
    """Turn the frames of one feed into messages for ``ticks.raw`` and ``dead.letters``.

    Ingest, runs that end and training all read frames through this class, so that a recording
    gives the same ticks everywhere.

    Parameters
    ----------
    parser
        Of the feed's venue, new.
    live, marked
        See :class:`flows.feeds.base.Feed`.
    hold_ns
        See :class:`flows.feeds.reorder.Reorder`.
    clock_ns
        Of the receive times, for when no frame comes.

    Attributes
    ----------
    counts
        Of everything so far.
    dead_by_reason
        Dead letters so far.
    newest
        The newest tick of each symbol, as it was sent.
    newest_frame_ns
        When the newest frame arrived, nanoseconds since the UNIX epoch; None while unknown.
    """

    def __init__(
        self,
        parser: Parser,
        *,
        live: bool = False,
        marked: bool = True,
        hold_ns: int = HOLD_NS,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.counts = Counts()
        self.dead_by_reason: Counter[str] = Counter()
        self.newest: dict[str, Tick] = {}
        self.newest_frame_ns: int | None = None
        self._ticks_by_symbol: Counter[str] = Counter()
        self._parser = parser
        self._live = live
        self._clock_ns = clock_ns
        self._continuity = Continuity(begins=live)
        self._reorder = Reorder(hold_ns)
        self._note_time = None if marked else self._continuity.note_time
        self._clock = ClockWatch(parser.venue) if live else None
        self._loops: LoopShift | None = None
        self._encode = msgspec.json.Encoder().encode

    @classmethod
    def of(cls, feed: Feed) -> "FrameProcessor":
        """Return a new processor for a feed's frames."""
        return cls(feed.parser(), live=feed.live, marked=feed.marked)

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds by which this host's clock is ahead of the venue's; None if not measured."""
        return None if self._clock is None else self._clock.offset_s

    @property
    def ticks_by_symbol(self) -> dict[str, int]:
        """Ticks so far, by symbol."""
        return dict(self._ticks_by_symbol)

    @property
    def gaps_by_symbol(self) -> dict[str, int]:
        """Ticks that were marked so far, by symbol."""
        return dict(self._continuity.gaps_by_symbol)

    def track_loops(self) -> None:
        """Measure the first loop, so that later ones can be shifted; before the first frame."""
        self._loops = LoopShift()

    def process(self, frames: Sequence[Frame], loop_number: int = 0) -> Messages:
        """Return the messages of some frames, all of one loop, in order.

        Without frames, those of a live feed's trades that have waited long enough meanwhile; a
        recording waits by its own times alone.
        """
        return self._encoded(self.read(frames, loop_number))

    def finish(self) -> Messages:
        """Return the messages of all trades that still wait; to be called after the last frame."""
        return self._encoded(self.read_rest())

    def read(self, frames: Sequence[Frame], loop_number: int = 0) -> Passed:
        """Return the ticks and dead letters that :meth:`process` writes as messages."""
        counts, continuity, loops = self.counts, self._continuity, self._loops
        parse, admit, follow = self._parser.parse, continuity.admit, continuity.follow
        is_early, waiting = continuity.is_early, self._reorder.waiting
        note_time, clock = self._note_time, self._clock
        out = Passed()
        ticks = out.ticks
        append = ticks.append
        tick_frames = dead_frames = 0
        for frame in frames:
            parsed = parse(frame)
            if waiting:
                self._release_before(ticks, frame, parsed)
            if frame.after_loss or parsed.reconnected or parsed.lost or parsed.last_trade:
                continuity.observe(parsed, lost=frame.after_loss)
            if note_time is not None:
                note_time(frame.ts_recv_ns, parsed)
            if clock is not None:
                _note_clock(clock, frame.ts_recv_ns, parsed)
            if parsed.ticks:
                tick_frames += 1
                complete = parsed.complete
                for made in parsed.ticks:
                    tick = made if loops is None else loops.shift(made, loop_number)
                    if not waiting and follow(tick):
                        append(tick)
                    elif complete and (waiting or is_early(tick)):
                        self._in_order(ticks, tick, _arrival_ns(frame, parsed))
                    elif (admitted := admit(tick, complete=complete)) is not None:
                        append(admitted)
            elif parsed.dead:
                dead_frames += 1
            elif parsed.replayed is not None:
                made = parsed.replayed
                tick = made if loops is None else loops.shift(made, loop_number)
                filled = continuity.fill_in(tick, complete=parsed.complete)
                tick_frames += filled is not None
                _append(ticks, filled)
                self._follow_up(ticks, tick.symbol)
            if parsed.dead:
                out.dead += parsed.dead
            if parsed.warning is not None:
                structlog.get_logger().warning("the venue complains", message=parsed.warning)
        if frames:
            self.newest_frame_ns = frames[-1].ts_recv_ns
        elif self._live:
            self._release(ticks, self._clock_ns())
        counts.frames += len(frames)
        counts.tick_frames += tick_frames
        counts.dead_frames += dead_frames
        counts.control += len(frames) - tick_frames - dead_frames
        counts.dead_letters += len(out.dead)
        self._count(out)
        return out

    def follow(self, run: Columns) -> int:
        """Note the first frames of a run as far as each is one tick that is passed on as it is.

        Returns
        -------
        How many those are: :meth:`read` would return their ticks, and the next frame is for it.
        """
        parser: Any = self._parser
        if self._reorder.waiting or self._live or self._loops is not None:
            return 0
        run = run.first(parser.usual(run))
        count, through = self._continuity.following(run, complete=parser.complete)
        run = run.first(count)
        if self._note_time is not None:
            known = run.received_ns >= 0
            times_ns = np.where(known, run.received_ns, run.ts_event_ns)
            run = run.first(self._continuity.note_times(times_ns.tolist(), through=through))
        if len(run):
            parser.note(run)
            self._continuity.note_run(run)
            self.counts.frames += len(run)
            self.counts.tick_frames += len(run)
            self.counts.ticks += len(run)
        return len(run)

    def read_rest(self) -> Passed:
        """Return the trades that :meth:`finish` writes as messages."""
        out = Passed()
        self._release(out.ticks, None)
        self._count(out)
        return out

    def _count(self, out: Passed) -> None:
        self.counts.ticks += len(out.ticks)
        self._ticks_by_symbol.update([tick.symbol for tick in out.ticks])
        self.newest.update({tick.symbol: tick for tick in out.ticks})
        self.dead_by_reason.update([dead.reason for dead in out.dead])
        self.counts.gaps = self._continuity.gaps
        self.counts.repeats = self._continuity.repeats

    def _encoded(self, passed: Passed) -> Messages:
        encode = self._encode
        keys = {symbol: symbol.encode() for symbol in {tick.symbol for tick in passed.ticks}}
        return Messages(
            ticks=[(keys[tick.symbol], encode(tick)) for tick in passed.ticks],
            dead=[self._dead_letter(each) for each in passed.dead],
        )

    def _in_order(self, ticks: list[Tick], tick: Tick, now_ns: int) -> None:
        """Append a tick of a channel that promises all, or let it wait for those before it."""
        if tick.trade_id is not None and self._continuity.is_early(tick):
            self._reorder.hold(tick, tick.trade_id, now_ns)
            self._release(ticks, now_ns)
            return
        if tick.trade_id is None and self._reorder.hold_behind(tick, now_ns):
            return
        _append(ticks, self._continuity.admit(tick, complete=True))
        self._follow_up(ticks, tick.symbol)

    def _follow_up(self, ticks: list[Tick], symbol: str) -> None:
        """Append the waiting ticks of a symbol before which none is missing any more."""
        while (tick := self._reorder.first(symbol)) and not self._continuity.is_early(tick):
            self._reorder.pop(symbol)
            _append(ticks, self._continuity.admit(tick, complete=True))

    def _release_before(self, ticks: list[Tick], frame: Frame, parsed: ParsedFrame) -> None:
        """Append the ticks that need not wait for anything in this frame."""
        if frame.after_loss or parsed.reconnected:
            self._release(ticks, None)
        elif frame.ts_recv_ns is not None or parsed.ticks:
            self._release(ticks, _arrival_ns(frame, parsed))

    def _release(self, ticks: list[Tick], now_ns: int | None) -> None:
        """Append the ticks that have waited long enough; all of them for None."""
        for symbol in self._reorder.overdue(now_ns):
            tick = self._reorder.pop(symbol)
            _append(ticks, self._continuity.admit(tick, complete=True))
            self._follow_up(ticks, symbol)

    def _dead_letter(self, dead: DeadLetter) -> tuple[bytes, bytes]:
        if len(dead.payload) > MAX_PAYLOAD_BYTES:
            detail = f"{dead.detail} (first {MAX_PAYLOAD_BYTES} of {len(dead.payload)} bytes)"
            payload = dead.payload[:MAX_PAYLOAD_BYTES]
            dead = msgspec.structs.replace(dead, detail=detail, payload=payload)
        return (dead.venue or "").encode(), self._encode(dead)


def _append(ticks: list[Tick], tick: Tick | None) -> None:
    if tick is not None:
        ticks.append(tick)


def _arrival_ns(frame: Frame, parsed: ParsedFrame) -> int:
    """Return when a frame with ticks arrived; by its ticks where the recording does not say."""
    return parsed.ticks[0].ts_event_ns if frame.ts_recv_ns is None else frame.ts_recv_ns


def _note_clock(clock: ClockWatch, ts_recv_ns: int | None, parsed: ParsedFrame) -> None:
    """Compare the clocks by a frame that says when the venue sent it, or when it traded."""
    if ts_recv_ns is None:
        return
    if parsed.sent_ns is not None:
        clock.note(ts_recv_ns, parsed.sent_ns)
    elif parsed.ticks and not parsed.polled:
        clock.note(ts_recv_ns, parsed.ticks[-1].ts_event_ns)


def run_feed(
    feed: Feed,
    processor: FrameProcessor,
    produce: Callable[[Messages], None],
    stop: threading.Event,
    max_frames: int = MAX_FRAMES,
    pacing: Pacing | None = None,
) -> Counts:
    """Move frames until the feed ends or ``stop`` is set, and return the counts.

    Parameters
    ----------
    pacing
        When the feed may be polled again; None for at once.

    Raises
    ------
    FeedError, CaptureError
        The feed cannot go on. What came before has been produced.
    """
    pacing = pacing or Pacing(0)
    while not stop.wait(pacing.wait_s):
        frames = feed.poll(max_frames)
        if frames:
            pacing.note_turn()
            messages = processor.process(frames, feed.loop_number)
            if messages:
                produce(messages)
        elif feed.finished:
            break
        else:
            if messages := processor.process(()):
                produce(messages)
            stop.wait(IDLE_S)
    if messages := processor.finish():
        produce(messages)
    return processor.counts
