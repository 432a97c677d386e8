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
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
import structlog

from flows.errors import CaptureError
from flows.feeds.base import Frame
from flows.feeds.output_file import OutputFile
from schemas.decoding import UNREADABLE

FORMAT = "frames/1"
FLUSH_S = 0.5
"""What a killed recorder loses at most, beside what the operating system has not written."""

_CHUNK_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
_SALVAGE_BYTES = 16
_HEADER_BYTES = 1 << 16
_LINE_BYTES = 1 << 26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # in front of what an editor has saved
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


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

    Raises
    ------
    CaptureError
        The file is missing, unreadable or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken_off: str | None = None
        self.damaged = 0
        self._decode = msgspec.json.Decoder(Frame).decode
        self._file: BinaryIO | None = None
        try:
            self._file = path.open("rb")
            self._chunks = _chunks(self._file)
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
        number = 1
        rest, chunk = b"", self._rest
        self._rest = b""
        after_loss = False
        while chunk:
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > _LINE_BYTES:
                self._break_off(f"line {number + len(lines) + 1} has no end")
                break
            block = None if after_loss else self._whole_frames(lines)
            if block is None:
                block, after_loss = self._frames(lines, number, after_loss=after_loss)
            number += len(lines)
            if block:
                yield block
            chunk = self._read()
        last = self._last_frame(rest)
        if last is not None:
            last.after_loss = last.after_loss or after_loss
            yield [last]
        if self.damaged > 1:
            self._log("lines of the recording were left out", lines=self.damaged)

    def _whole_frames(self, lines: list[bytes]) -> list[Frame] | None:
        """Return the frames of lines each of which is one, as nearly always; None otherwise."""
        try:
            return list(map(self._decode, lines))
        except UNREADABLE:
            return None

    def _frames(
        self, lines: list[bytes], number: int, *, after_loss: bool
    ) -> tuple[list[Frame], bool]:
        """Return the frames of some lines, and whether a line was left out after the last one.

        Parameters
        ----------
        number
            Of the line before them.
        after_loss
            Whether a line was left out just before them.
        """
        block = []
        for line in lines:
            number += 1
            frame = self._frame(line, number)
            if frame is None:
                after_loss = after_loss or bool(line.strip())
                continue
            if after_loss:
                frame.after_loss, after_loss = True, False
            block.append(frame)
        return block, after_loss

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


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's content, unzipped; all that comes before an error is yielded first.

    Raises
    ------
    OSError, EOFError, zlib.error
        The file cannot be read on, ends early or is damaged.
    """
    data = file.read(_CHUNK_BYTES)
    if not data.startswith(_GZIP_MAGIC):
        while data:
            yield data
            data = file.read(_CHUNK_BYTES)
        return
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    while data:
        before = unzip.copy()
        try:
            plain = unzip.decompress(data, _BLOCK_BYTES)
        except zlib.error:
            yield _salvage(before, data)
            raise
        if plain:
            yield plain
        if not unzip.eof:
            data = unzip.unconsumed_tail or file.read(_CHUNK_BYTES)
            continue
        data = (unzip.unused_data or file.read(_CHUNK_BYTES)).lstrip(b"\0")
        if not data:
            return  # the end of a whole file, which may be padded
        unzip = zlib.decompressobj(_GZIP_WINDOW)
    message = "the compressed data end before their end mark"
    raise EOFError(message)


def _salvage(unzip: "zlib._Decompress", data: bytes) -> bytes:
    """Return what can be unzipped before the damage, from a state before the data."""
    found = b""
    for start in range(0, len(data), _SALVAGE_BYTES):
        try:
            found += unzip.decompress(data[start : start + _SALVAGE_BYTES])
        except zlib.error:
            break
    return found


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
