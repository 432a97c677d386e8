"""Recorded frames to ticks: through the venue's parser and the flow's own checks."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from flows.errors import TrainingError
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from training.data.decoding import LogDecoder
from training.data.ticklog import TickLog

_FRAMES = 4096


def read_capture(path: Path | Sequence[Path]) -> TickLog:
    """Read a whole recording, or its files in order, the way ingest and the pipeline would.

    Raises
    ------
    CaptureError
        The file is missing, truncated, or of a foreign format.
    TrainingError
        It holds no usable tick; it says why there is none.
    """
    name = path.name if isinstance(path, Path) else path[0].name
    encode = msgspec.json.Encoder().encode
    feed = ReplayFeed(path)
    decoder = LogDecoder()
    try:
        processor = FrameProcessor.of(feed)
        is_whole = False
        while not is_whole:
            frames = feed.poll(_FRAMES)
            is_whole = feed.finished and not frames
            passed = processor.read_rest() if is_whole else processor.read(frames)
            decoder.count(passed.dead)
            decoder.add_values([encode(tick) for tick in passed.ticks])
    finally:
        feed.close()
    if decoder.dead and not decoder:
        reasons = ", ".join(f"{reason} {count}" for reason, count in decoder.dead.most_common())
        message = f"too few ticks: {name} holds none that can be used (dead letters: {reasons})"
        raise TrainingError(message)
    return decoder.log(name, "recorded")
