"""From frames to messages: parse, shift, find gaps, encode, count. No I/O of its own."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from flows.feeds.base import Feed, Frame, Parser
from flows.feeds.continuity import Continuity
from flows.feeds.loop import LapShift
from flows.feeds.pacing import Spacing
from schemas.dead_letters import DeadLetter

MAX_PAYLOAD_BYTES = 500_000
"""Of a dead letter: in base64 it must fit into a broker's usual limit of one megabyte."""

MAX_FRAMES = 8_192
IDLE_S = 0.002


@dataclass(slots=True)
class Counts:
    """What has passed; ``frames = tick_frames + control + dead_frames``.

    A frame of which anything gave a tick is a tick frame, also where that tick was a repeat; its
    bad parts are dead letters nevertheless.
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


class Ingest:
    """Turns the frames of one feed into messages for ``ticks.raw`` and ``dead.letters``.

    Attributes
    ----------
    counts
        Of everything so far.
    """

    def __init__(self, parser: Parser) -> None:
        self.counts = Counts()
        self._parser = parser
        self._continuity = Continuity()
        self._laps: LapShift | None = None
        self._encode = msgspec.json.Encoder().encode
        self._keys: dict[str, bytes] = {}

    def track_laps(self) -> None:
        """Measure the first lap, so that later ones can be shifted; before the first frame."""
        self._laps = LapShift()

    def process(self, frames: Sequence[Frame], lap: int = 0) -> Messages:
        """Return the messages of some frames, all of one lap, in order."""
        counts, continuity, laps = self.counts, self._continuity, self._laps
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
                    tick = admit(made if laps is None else laps.shift(made, lap))
                    if tick is None:
                        continue
                    key = keys.get(tick.symbol)
                    if key is None:
                        key = keys[tick.symbol] = tick.symbol.encode()
                    ticks.append((key, encode(tick)))
            elif parsed.dead:
                dead_frames += 1
            if parsed.dead:
                out.dead.extend(self._letter(letter) for letter in parsed.dead)
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

    def _letter(self, letter: DeadLetter) -> tuple[bytes, bytes]:
        if len(letter.payload) > MAX_PAYLOAD_BYTES:
            detail = f"{letter.detail} (first {MAX_PAYLOAD_BYTES} of {len(letter.payload)} bytes)"
            payload = letter.payload[:MAX_PAYLOAD_BYTES]
            letter = msgspec.structs.replace(letter, detail=detail, payload=payload)
        return (letter.venue or "").encode(), self._encode(letter)


def pump(
    feed: Feed,
    ingest: Ingest,
    produce: Callable[[Messages], None],
    stop: threading.Event,
    max_frames: int = MAX_FRAMES,
    spacing: Spacing | None = None,
) -> Counts:
    """Move frames until the feed ends or ``stop`` is set, and return the counts.

    Parameters
    ----------
    spacing
        If set, when the feed may be polled again.

    Raises
    ------
    FeedError, CaptureError
        Where the feed cannot go on. What came before it has been produced.
    """
    spacing = spacing or Spacing(0)
    while not stop.wait(spacing.wait_s):
        frames = feed.poll(max_frames)
        if frames:
            spacing.took()
            messages = ingest.process(frames, feed.lap)
            if messages:
                produce(messages)
        elif feed.finished:
            break
        else:
            stop.wait(IDLE_S)
    return ingest.counts
