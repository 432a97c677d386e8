"""Play a recording back as a feed, through the same parsers as live frames."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from flows.errors import CaptureError
from flows.feeds.base import Frame, Parser
from flows.feeds.recordings import open_recording
from flows.feeds.venues import parser_for
from flows.numeric.time import NS_PER_S
from schemas.feeds import VENUES, Venue

OPENING_FRAMES = 5_000
OPENING_S = 30.0
"""How far to look ahead for subscriptions: clients subscribe within seconds."""

MAX_PAUSE_S = 60.0
"""A longer silence (between two recorded connections, say) is not waited out."""


class ReplayFeed:
    """Feed of a recording.

    Parameters
    ----------
    path
        The recording: a file, a folder of them, or some files in order.
    speed
        None: as fast as frames are taken. Otherwise the recorded distances divided by this; a frame
        without a receive time comes with the one before it, and no pause is longer than
        ``MAX_PAUSE_S``.
    loop
        Start over at the end. The processor shifts times and ids
        (:class:`flows.feeds.loop.LoopShift`).
    from_s
        So many seconds of the recording come as fast as frames are taken, whatever ``speed`` says;
        of the first loop alone.
    duration_s
        End after this many seconds of ``clock``; None: at the end of the recording.
    clock
        Monotonic seconds.

    Raises
    ------
    CaptureError
        See :func:`flows.feeds.recordings.open_recording`; also for a venue without a parser.
    """

    live = False

    def __init__(
        self,
        path: Path | Sequence[Path],
        *,
        speed: float | None = None,
        loop: bool = False,
        from_s: float = 0.0,
        duration_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        shown = path if isinstance(path, Path) else path[0]
        self.name = f"replay of {shown}"
        self.loop_number = 0
        self.finished = False
        self._path = path
        self._speed = speed
        self._loop = loop
        self._clock = clock
        self._duration_s = duration_s
        self._end_s: float | None = None
        self._pace = _Pace(speed, from_s) if speed is not None else None
        self._reader = open_recording(path)
        self.venue = self._reader.header.venue
        self.simulated = self.venue == Venue.SIMULATOR
        self.marked = self._reader.header.marked
        if self.venue not in VENUES:
            self._reader.close()
            message = (
                f"{shown} is a recording of venue {self.venue!r}, which has no parser; "
                f"known are {', '.join(VENUES)}"
            )
            raise CaptureError(message)
        self._blocks: Iterator[list[Frame]] = self._reader.blocks()
        self._block: list[Frame] = []
        self._next = 0
        self._opening = self._look_ahead()

    def _look_ahead(self) -> list[str]:
        """Read the opening's frames, which are played later, and return their texts."""
        blocks: list[list[Frame]] = []
        first_ns = None
        count = 0
        for block in self._blocks:
            blocks.append(block)
            count += len(block)
            times = [frame.ts_recv_ns for frame in block if frame.ts_recv_ns is not None]
            if first_ns is None and times:
                first_ns = times[0]
            if count >= OPENING_FRAMES:
                break
            if first_ns is not None and times and times[-1] - first_ns > OPENING_S * NS_PER_S:
                break
        self._blocks = itertools.chain(blocks, self._blocks)
        return [frame.text for block in blocks for frame in block][:OPENING_FRAMES]

    def parser(self) -> Parser:
        """Return a parser that knows the recording's opening."""
        return parser_for(self.venue, self._opening, marked=self.marked)

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the frames that are due, at most ``max_frames``."""
        if self.finished:
            return []
        now = self._clock()
        if self._duration_s is not None:
            if self._end_s is None:
                self._end_s = now + self._duration_s
            if now >= self._end_s:
                self.close()
                return []
        if self._next >= len(self._block) and not self._advance():
            return []
        stop = min(self._next + max_frames, len(self._block))
        if self._pace is not None:
            stop = self._pace.due(self._block, self._next, stop, now)
        frames = self._block[self._next : stop]
        self._next = stop
        return frames

    def _advance(self) -> bool:
        """Go to the next block; False at the end."""
        block = next(self._blocks, None)
        if block is None and self._loop:
            self._reader.close()
            self._reader = open_recording(self._path)
            self._blocks = self._reader.blocks()
            block = next(self._blocks, None)
            if block is not None:
                self.loop_number += 1
                first = block[0]
                block[0] = Frame(first.ts_recv_ns, first.text, fresh=True)
                if self._pace is not None:
                    self._pace.restart()
        if block is None:
            self.close()
            return False
        self._block, self._next = block, 0
        return True

    def close(self) -> None:
        """Close the file and end the feed."""
        self.finished = True
        self._reader.close()


class _Pace:
    """When a frame is due, from the recorded receive times."""

    def __init__(self, speed: float, from_s: float = 0.0) -> None:
        self._speed = speed
        self._left_ns = int(from_s * NS_PER_S)  # of recorded time that is not waited for
        self._last_ns: int | None = None
        self._due_s: float | None = None

    def restart(self) -> None:
        """Forget the newest recorded time, as at the start of a recording."""
        self._last_ns = None
        self._left_ns = 0

    def due(self, frames: list[Frame], start: int, stop: int, now: float) -> int:
        """Return the end of the frames from ``start`` that are due at ``now``."""
        for index in range(start, stop):
            recorded = frames[index].ts_recv_ns
            if self._due_s is None:
                self._due_s = now
            if recorded is None:
                continue
            if self._last_ns is not None and recorded > self._last_ns:
                passed_ns = recorded - self._last_ns
                skipped_ns = min(passed_ns, self._left_ns)
                self._left_ns -= skipped_ns
                pause_s = (passed_ns - skipped_ns) / NS_PER_S / self._speed
                if pause_s > MAX_PAUSE_S:
                    structlog.get_logger().info(
                        "a long silence in the recording is shortened",
                        silence_s=round(pause_s), waited_s=MAX_PAUSE_S,
                    )  # fmt: skip
                    pause_s = MAX_PAUSE_S
                self._due_s += pause_s
            if self._last_ns is None or recorded > self._last_ns:
                self._last_ns = recorded
            if self._due_s > now:
                return index
        return stop
