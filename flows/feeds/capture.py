"""Read and write recordings: a header line, then one received frame a line, usually gzipped.

The header is ``{"format": "frames/1", "venue": ..., "source": ..., "note": ...}``, every other line
``{"ts_recv_ns": int|null, "frame": "<text>"}``, with ``"fresh": true`` on the first frame of a
connection after the first.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from flows.errors import CaptureError
from flows.feeds.base import Frame
from schemas.decoding import UNREADABLE

FORMAT = "frames/1"

_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"


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
    """

    format: str
    venue: str
    source: str = ""
    note: str = ""
    marked: bool = False


class CaptureReader:
    """Read a recording as a stream, in blocks of frames.

    Parameters
    ----------
    path
        Gzipped or plain, whatever its name.

    Raises
    ------
    CaptureError
        The file is missing, unreadable or of another format; or, while reading, it is truncated or
        damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decode = msgspec.json.Decoder(Frame).decode
        self._file: BinaryIO | None = None
        try:
            self._file = _open(path)
            first = self._file.readline(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            message = f"cannot read the recording {path}: {_reason(error)}"
            raise CaptureError(message) from None
        self.header = self._parse_header(first)

    def _parse_header(self, line: bytes) -> Header:
        try:
            header = msgspec.json.decode(line, type=Header)
        except UNREADABLE:
            header = None
        if header is None or header.format != FORMAT:
            self.close()
            message = (
                f"{self.path} is not a recording of frames: its first line must be a JSON object"
                f' with "format": "{FORMAT}" and "venue", but is {line[:80]!r}'
            )
            raise CaptureError(message)
        return header

    def blocks(self) -> Iterator[list[Frame]]:
        """Yield all frames in order, some hundreds at a time.

        Raises
        ------
        CaptureError
            The file breaks off or is damaged; the frames before that have been yielded.
        """
        decode = self._decode
        number = 1
        rest = b""
        while chunk := self._read():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            block = []
            damage = None
            for line in lines:
                number += 1
                if not line.strip():
                    continue
                try:
                    block.append(decode(line))
                except UNREADABLE as error:
                    damage = self._damaged(number, str(error))
                    break
            if block:
                yield block
            if damage is not None:
                raise damage
        if rest.strip():
            try:
                last = decode(rest)
            except UNREADABLE as error:
                raise self._damaged(number + 1, f"the file may be truncated ({error})") from None
            yield [last]

    def _read(self) -> bytes:
        if self._file is None:
            return b""
        try:
            return self._file.read(_CHUNK_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            message = f"the recording {self.path} is truncated or damaged: {_reason(error)}"
            raise CaptureError(message) from None

    def _damaged(self, number: int, detail: str) -> CaptureError:
        self.close()
        return CaptureError(f"line {number} of the recording {self.path} is not a frame: {detail}")

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CaptureWriter:
    """Write a recording, gzipped if the name ends in ``.gz``.

    Raises
    ------
    CaptureError
        The file exists already or cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        try:
            raw = path.open("xb")
        except OSError as error:
            message = f"cannot write the recording {path}: {_reason(error)}"
            raise CaptureError(message) from None
        self._raw = raw
        self._file: io.BufferedIOBase = (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="")
            if path.suffix == ".gz"
            else raw
        )
        self._encoder = msgspec.json.Encoder()
        self._write(header)

    def write(self, frame: Frame) -> None:
        """Append one frame."""
        self._write(frame)

    def _write(self, line: Frame | Header) -> None:
        self._file.write(self._encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Finish the file; without it a gzipped recording is truncated."""
        self._file.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as probe:
        zipped = probe.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
