"""Read and write recordings: a header line, then one received frame a line, usually gzipped.

The header is ``{"format": "frames/1", "venue": ..., "source": ..., "note": ..., "marked": true}``,
every other line ``{"ts_recv_ns": int|null, "frame": "<text>"}``, with ``"fresh": true`` on the
first frame of a connection after the first.

A recording that breaks off (its recorder was killed, the file was cut) gives all that comes before
the break, with a warning. A line inside it that is no frame is left out, and the frame after it
carries ``after_loss``.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import numpy as np
import structlog

from flows.errors import CaptureError
from flows.feeds.base import Frame
from flows.feeds.output_file import OutputFile
from flows.feeds.unzip import unzipped_chunks
from flows.numeric.arrays import Int64
from schemas.decoding import UNREADABLE

FORMAT = "frames/1"
FLUSH_S = 0.5
"""What a killed recorder loses at most, beside what the operating system has not written."""

_LINE_FEED = b"\n"
_HEADER_BYTES = 1 << 16
_LINE_BYTES = 1 << 26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # in front of what an editor has saved


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of a recording.

    Attributes
    ----------
    format
        ``frames/1``.
    venue
        One of :class:`schemas.feeds.Venue`.
    source
        What was recorded, for people.
    note
        Whatever the person who recorded it wants to say.
    marked
        True if the first frame of each connection after the first is marked ``fresh``.
    continues
        Name of the file that this one goes on with, in the same connection; empty for the first
        file of a recording.
    """

    format: str
    venue: str
    source: str = ""
    note: str = ""
    marked: bool = False
    continues: str = ""


class LineBlock:
    """Some whole lines of a recording, to be decoded or passed over once each, in order.

    Attributes
    ----------
    data
        Lines, each with its end.
    """

    def __init__(self, reader: "CaptureReader", data: bytes, *, is_cut: bool = False) -> None:
        self.data = data
        self._reader = reader
        self._is_cut = is_cut

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def ends(self) -> Int64:
        """int64, shape (lines,): where the line feeds are."""
        found = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _LINE_FEED[0])
        return np.asarray(found, np.int64)

    @property
    def is_plain(self) -> bool:
        """Whether the next frame is all in its line."""
        return not self._is_cut and not self._reader.marks_next

    def frames(self, first: int, stop: int) -> list[Frame]:
        """Return the frames of some lines."""
        if stop <= first:
            return []
        begin = int(self.ends[first - 1]) + 1 if first else 0
        lines = self.data[begin : int(self.ends[stop - 1])]
        if self._is_cut:
            return self._reader.decode_cut(lines)
        return self._reader.decode(lines.split(b"\n"))

    def pass_over(self, lines: int) -> None:
        """Count the next lines, each of which is a frame that somebody else has read."""
        self._reader.passed(lines, lines)


class CaptureReader:
    """Read a recording as a stream, in blocks of frames.

    Parameters
    ----------
    path
        Gzipped or plain, whatever its name.

    Attributes
    ----------
    broken_off
        Why the file ends early, once that is known; None for a whole file.
    damaged
        Lines that were left out so far.
    found
        Whether there was any frame so far.

    Raises
    ------
    CaptureError
        The file is missing, unreadable or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken_off: str | None = None
        self.damaged = 0
        self.found = False
        self._number = 1
        self._fresh = self._after_loss = False
        self._decode = msgspec.json.Decoder(Frame).decode
        self._file: BinaryIO | None = None
        try:
            self._file = path.open("rb")
            self._chunks = unzipped_chunks(self._file)
            self._rest = self._until_line_end()
        except OSError as error:
            self.close()
            message = f"cannot read the recording {path}: {_reason(error)}"
            raise CaptureError(message) from None
        line, _, self._rest = self._rest.partition(b"\n")
        self.header = self._parse_header(line)

    def _until_line_end(self) -> bytes:
        """Return the beginning of the file, at least its first line."""
        found = b""
        while b"\n" not in found and len(found) < _HEADER_BYTES and (chunk := self._read()):
            found += chunk
        return found

    def _parse_header(self, line: bytes) -> Header:
        try:
            header = msgspec.json.decode(line.removeprefix(_BYTE_ORDER_MARK), type=Header)
        except UNREADABLE:
            header = None
        if header is None or header.format != FORMAT:
            self.close()
            if self.broken_off is not None:
                message = f"cannot read the recording {self.path}: {self.broken_off}"
                raise CaptureError(message)
            message = (
                f"{self.path} is not a recording of frames: its first line must be a JSON object"
                f' with "format": "{FORMAT}" and "venue", but is {line[:80]!r}'
            )
            raise CaptureError(message)
        return header

    def blocks(self) -> Iterator[list[Frame]]:
        """Yield all frames in order, some hundreds at a time."""
        for lines in self.line_blocks():
            if frames := lines.frames(0, len(lines)):
                yield frames

    def line_blocks(self) -> Iterator["LineBlock"]:
        """Yield all lines in order, undecoded; each block is read before the next is taken."""
        rest, chunk = b"", self._rest
        self._rest = b""
        while chunk:
            whole = rest + chunk
            cut = whole.rfind(b"\n") + 1
            rest = whole[cut:]
            if len(rest) > _LINE_BYTES:
                self._break_off(f"line {self._number + whole.count(_LINE_FEED) + 1} has no end")
                break
            if cut:
                yield LineBlock(self, whole[:cut])
            chunk = self._read()
        if rest:
            yield LineBlock(self, rest + b"\n", is_cut=True)
        if self.damaged > 1:
            self._log("lines of the recording were left out", lines=self.damaged)

    def mark_next(self, *, fresh: bool = False, after_loss: bool = False) -> None:
        """Say of the next frame what the file does not tell."""
        self._fresh, self._after_loss = fresh, after_loss

    @property
    def marks_next(self) -> bool:
        """Whether the next frame gets a mark that its line does not have."""
        return self._fresh or self._after_loss

    def decode(self, lines: list[bytes]) -> list[Frame]:
        """Return the frames of the next lines; those that are none are left out."""
        frames = None if self.marks_next else self._whole_frames(lines)
        if frames is None:
            frames = self._frames(lines)
        self.passed(len(lines), len(frames))
        return frames

    def decode_cut(self, line: bytes) -> list[Frame]:
        """Return the frame of a last line without an end, if it is one."""
        frame = self._last_frame(line)
        if frame is None:
            return []
        self._mark(frame)
        self.passed(1, 1)
        return [frame]

    def passed(self, lines: int, frames: int) -> None:
        """Count lines that were read, and the frames in them."""
        self._number += lines
        self.found = self.found or frames > 0

    def _whole_frames(self, lines: list[bytes]) -> list[Frame] | None:
        """Return the frames of lines each of which is one, as nearly always; None otherwise."""
        try:
            return list(map(self._decode, lines))
        except UNREADABLE:
            return None

    def _frames(self, lines: list[bytes]) -> list[Frame]:
        frames = []
        for number, line in enumerate(lines, self._number + 1):
            frame = self._frame(line, number)
            if frame is None:
                self._after_loss = self._after_loss or bool(line.strip())
                continue
            self._mark(frame)
            frames.append(frame)
        return frames

    def _mark(self, frame: Frame) -> None:
        frame.fresh = frame.fresh or self._fresh
        frame.after_loss = frame.after_loss or self._after_loss
        self._fresh = self._after_loss = False

    def _frame(self, line: bytes, number: int) -> Frame | None:
        try:
            return self._decode(line)
        except UNREADABLE as error:
            if not line.strip():
                return None
            self.damaged += 1
            if self.damaged == 1:
                self._log("a line of the recording is no frame and left out", line=number,
                          cause=str(error))  # fmt: skip
            return None

    def _last_frame(self, line: bytes) -> Frame | None:
        """Return the frame of a last line without an end; None if it is cut or blank."""
        try:
            return self._decode(line)
        except UNREADABLE:
            if line.strip() and self.broken_off is None:
                self._break_off("its last line is cut")
            return None

    def _read(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except (OSError, EOFError, zlib.error) as error:
            self._break_off(_reason(error))
            return b""

    def _break_off(self, cause: str) -> None:
        self.broken_off = cause
        self._log("the recording breaks off: what comes before is used", cause=cause)

    def _log(self, event: str, **details: object) -> None:
        structlog.get_logger().warning(event, path=str(self.path), **details)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._chunks = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CaptureWriter:
    """Write a recording, gzipped if the name ends in ``.gz``.

    What was written is flushed every half second, so that a recorder that is killed leaves all
    but that to be read. If the disk is full, what was flushed remains, as a whole file.

    Parameters
    ----------
    path
        A new file.
    header
        Its first line.
    clock
        Seconds, monotonic.

    Raises
    ------
    CaptureError
        The file exists already or cannot be written, also from :meth:`write` and :meth:`flush`.
    """

    def __init__(
        self, path: Path, header: Header, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._clock = clock
        self._flushed_s = clock()
        self._encoder = msgspec.json.Encoder()
        try:
            self._file = OutputFile(path, compress=path.suffix == ".gz")
        except OSError as error:
            raise self._failed(error) from None
        try:
            self._write(header)
            self._flush()
        except CaptureError:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.size

    def write(self, frame: Frame) -> None:
        """Append one frame."""
        self._write(frame)

    def flush(self) -> None:
        """Hand what was written to the operating system, if it is time for that."""
        now_s = self._clock()
        if now_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = now_s
            self._flush()

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def _write(self, line: Frame | Header) -> None:
        try:
            self._file.write(self._encoder.encode(line) + b"\n")
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> CaptureError:
        return CaptureError(f"cannot write the recording {self._path}: {_reason(error)}")

    def close(self) -> None:
        """Finish the file; without it a gzipped recording lacks its end mark."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
