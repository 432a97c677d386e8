"""Recorded frames to ticks: through the venue's parser and the flow's own checks."""

from collections.abc import Sequence
from pathlib import Path

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
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
        It holds no tick.
    """
    feed = ReplayFeed(path)
    try:
        processor = FrameProcessor.of(feed)
        symbols = SymbolTable()
        batches: list[TickBatch] = []
        offset = 0
        dead = 0
        is_whole = False
        while not is_whole:
            frames = feed.poll(_FRAMES)
            is_whole = feed.finished and not frames
            messages = processor.finish() if is_whole else processor.process(frames)
            values = [value for _key, value in messages.ticks]
            dead += len(messages.dead)
            batch, letters = decode_values(values, offset, symbols)
            dead += len(letters)
            offset += len(values)
            if len(batch):
                batches.append(batch)
    finally:
        feed.close()
    kind = provenance_of(symbols, "recorded")
    name = path.name if isinstance(path, Path) else path[0].name
    return TickLog(name, concatenate(batches), symbols, kind, dead)


def decode_values(
    values: list[bytes], offset: int, symbols: SymbolTable
) -> tuple[TickBatch, list[object]]:
    """Decode messages as the pipeline does, without keeping the messages."""
    count = len(values)
    raw = RawBatch(0, values, list(range(offset, offset + count)), [-1] * count, offset + count)
    batch, letters = decode(raw, symbols, TICKS_RAW, frozenset())
    batch.ticks.clear()
    return batch, list(letters)
