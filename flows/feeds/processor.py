"""From frames to messages: parse, shift, find gaps, encode, count. No I/O of its own."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from flows.feeds.base import Feed, Frame, Parser
from flows.feeds.continuity import Continuity
from flows.feeds.loop import LoopShift
from flows.feeds.pacing import Pacing
from schemas.dead_letters import DeadLetter

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


class FrameProcessor:
    """Turn the frames of one feed into messages for ``ticks.raw`` and ``dead.letters``.

    Ingest, runs that end and training all read frames through this class, so that a recording
    gives the same ticks everywhere.

    Attributes
    ----------
    counts
        Of everything so far.
    """

    def __init__(self, parser: Parser) -> None:
        self.counts = Counts()
        self._parser = parser
        self._continuity = Continuity()
        self._loops: LoopShift | None = None
        self._encode = msgspec.json.Encoder().encode
        self._keys: dict[str, bytes] = {}

    def track_loops(self) -> None:
        """Measure the first loop, so that later ones can be shifted; before the first frame."""
        self._loops = LoopShift()

    def process(self, frames: Sequence[Frame], loop_number: int = 0) -> Messages:
        """Return the messages of some frames, all of one loop, in order."""
        counts, continuity, loops = self.counts, self._continuity, self._loops
        parse, admit, encode, keys = self._parser.parse, continuity.admit, self._encode, self._keys
        out = Messages()
        ticks = out.ticks
        tick_frames = dead_frames = 0
        for frame in frames:
            parsed = parse(frame)
            if parsed.reconnected or parsed.lost or parsed.last_trade is not None:
                continuity.observe(parsed)
            if parsed.ticks:
                tick_frames += 1
                for made in parsed.ticks:
                    tick = admit(made if loops is None else loops.shift(made, loop_number))
                    if tick is None:
                        continue
                    key = keys.get(tick.symbol)
                    if key is None:
                        key = keys[tick.symbol] = tick.symbol.encode()
                    ticks.append((key, encode(tick)))
            elif parsed.dead:
                dead_frames += 1
            if parsed.dead:
                out.dead.extend(self._dead_letter(each) for each in parsed.dead)
            if parsed.warning is not None:
                structlog.get_logger().warning("the venue complains", message=parsed.warning)
        counts.frames += len(frames)
        counts.tick_frames += tick_frames
        counts.dead_frames += dead_frames
        counts.control += len(frames) - tick_frames - dead_frames
        counts.ticks += len(ticks)
        counts.dead_letters += len(out.dead)
        counts.gaps = continuity.gaps
        counts.repeats = continuity.repeats
        return out

    def _dead_letter(self, dead: DeadLetter) -> tuple[bytes, bytes]:
        if len(dead.payload) > MAX_PAYLOAD_BYTES:
            detail = f"{dead.detail} (first {MAX_PAYLOAD_BYTES} of {len(dead.payload)} bytes)"
            payload = dead.payload[:MAX_PAYLOAD_BYTES]
            dead = msgspec.structs.replace(dead, detail=detail, payload=payload)
        return (dead.venue or "").encode(), self._encode(dead)


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
            stop.wait(IDLE_S)
    return processor.counts
