"""Recorded frames to ticks: through the venue's parser and the flow's own checks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.errors import TrainingError
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from schemas.dead_letters import DeadLetter
from schemas.topics import TICKS_RAW
from training.data.ticklog import TickLog, concatenate, provenance_of

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
    read_letter = msgspec.json.Decoder(DeadLetter).decode
    feed = ReplayFeed(path)
    try:
        processor = FrameProcessor.of(feed)
        symbols = SymbolTable()
        batches: list[TickBatch] = []
        offset = 0
        dead: Counter[str] = Counter()
        is_whole = False
        while not is_whole:
            frames = feed.poll(_FRAMES)
            is_whole = feed.finished and not frames
            messages = processor.finish() if is_whole else processor.process(frames)
            values = [value for _key, value in messages.ticks]
            dead.update(read_letter(value).reason.value for _key, value in messages.dead)
            batch, letters = decode_values(values, offset, symbols)
            dead.update(letter.reason.value for letter in letters)
            offset += len(values)
            if len(batch):
                batches.append(batch)
    finally:
        feed.close()
    if dead and not batches:
        reasons = ", ".join(f"{reason} {count}" for reason, count in dead.most_common())
        message = f"too few ticks: {name} holds none that can be used (dead letters: {reasons})"
        raise TrainingError(message)
    kind = provenance_of(symbols, "recorded")
    return TickLog(name, concatenate(batches), symbols, kind, dead.total())


def decode_values(
    values: list[bytes], offset: int, symbols: SymbolTable
) -> tuple[TickBatch, list[DeadLetter]]:
    """Decode messages as the pipeline does, without keeping the messages."""
    count = len(values)
    raw = RawBatch(0, values, list(range(offset, offset + count)), [-1] * count, offset + count)
    batch, letters = decode(raw, symbols, TICKS_RAW, frozenset())
    batch.ticks.clear()
    return batch, list(letters)
