"""Recorded frames to ticks: through the venue's parser and the flow's own checks."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from flows.errors import TrainingError
from flows.feeds.capture import LineBlock
from flows.feeds.processor import FrameProcessor, Passed
from flows.feeds.recordings import open_recording
from flows.feeds.replay import ReplayFeed
from flows.feeds.shapes.scanner import Scan, scanner_kernel
from flows.feeds.shapes.usual import UsualFrames
from training.data.decoding import LogDecoder
from training.data.ticklog import TickLog

MANY_LINES = 500_000
"""So many are read without compiled code in less time than compiling takes."""

_FRAMES = 4096
_FEW = 64
"""A run of fewer usual frames is not worth to look for another one at once."""


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
    feed = ReplayFeed(path)  # whose parser knows the opening
    feed.close()
    decoder = LogDecoder()
    reader = _CaptureDecoder(feed, decoder)
    recording = open_recording(path)
    try:
        for block in recording.line_blocks():
            reader.add(block)
    finally:
        recording.close()
    reader.end()
    if decoder.dead and not decoder:
        reasons = ", ".join(f"{reason} {count}" for reason, count in decoder.dead.most_common())
        message = f"too few ticks: {name} holds none that can be used (dead letters: {reasons})"
        raise TrainingError(message)
    return decoder.log(name, "recorded")


class _CaptureDecoder:
    """Decode the lines of a recording: the usual ones at once, the others one by one."""

    def __init__(self, feed: ReplayFeed, decoder: LogDecoder) -> None:
        self._decoder = decoder
        self._processor = FrameProcessor.of(feed)
        self._lines = 0
        self._usual = UsualFrames(self._processor, feed.parser, decoder.symbols, self._form)
        self._encode = msgspec.json.Encoder().encode

    def add(self, block: LineBlock) -> None:
        """Read a block of lines."""
        self._lines += len(block)
        symbols = self._decoder.symbols
        scanned = self._usual.scan(block.data, block.ends)
        known = len(symbols.learned)
        at, slow, window = 0, 1, _FRAMES
        while at < len(block):
            if scanned is not None and block.is_plain and self._decoder.takes_columns:
                run = self._usual.take(scanned, at, min(at + window, len(block)))
                block.pass_over(len(run))
                self._decoder.add_columns(run)
                at += len(run)
                slow = 1 if len(run) >= _FEW else min(2 * slow, _FRAMES)
                window = max(2 * _FEW, 2 * len(run))
                if at == len(block):
                    break
            stop = min(at + slow, len(block)) if scanned is not None else len(block)
            self._pass_on(self._processor.read(block.frames(at, stop)))
            at = stop
            if scanned is not None and len(symbols.learned) > known:
                known = len(symbols.learned)
                scanned = self._usual.scan(block.data, block.ends)

    def end(self) -> None:
        """Read what waits for other frames."""
        self._pass_on(self._processor.read_rest())

    def _pass_on(self, passed: Passed) -> None:
        self._decoder.count(passed.dead)
        self._decoder.add_values([self._encode(tick) for tick in passed.ticks])

    def _form(self) -> Scan | None:
        kernel = scanner_kernel()
        return kernel.compile() if self._lines > MANY_LINES else kernel.load()
