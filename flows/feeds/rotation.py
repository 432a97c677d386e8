"""Write a recording as a row of files, each of which goes on where the one before it ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from flows.errors import CaptureError
from flows.feeds.base import Frame
from flows.feeds.capture import CaptureWriter, Header

SUFFIX = ".frames.ndjson.gz"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file is full; whichever comes first.

    Attributes
    ----------
    bytes, seconds
        Of one file.
    """

    bytes: int = 64 * 1024 * 1024
    seconds: float = 3_600.0


class RotatingWriter:
    """Write frames to ``NAME-20260131T120000Z-00001.frames.ndjson.gz``, ``-00002`` and so on.

    The time is that of the start, so that the names of all recordings in a folder sort by time.

    Parameters
    ----------
    folder
        Is made if it does not exist.
    name
        First part of the files' names.
    header
        Of every file; ``continues`` is set here.
    clock
        Seconds, monotonic.
    now_s
        Seconds since the UNIX epoch, for the names.

    Raises
    ------
    CaptureError
        A file cannot be written, also from the methods.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        header: Header,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        started = datetime.fromtimestamp(now_s(), UTC)
        self._stem = f"{name}-{started:%Y%m%dT%H%M%SZ}"
        self._folder = folder
        self._header = header
        self._limits = limits
        self._clock = clock
        self._part = 0
        self._frames = 0
        self._begun_s = clock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot write recordings to {folder}: {error.strerror}"
            raise CaptureError(message) from None
        self._writer = self._next(continues="")

    def write(self, frame: Frame) -> None:
        """Append one frame, to the next file if this one is full."""
        full = (
            self._writer.size >= self._limits.bytes
            or self._clock() - self._begun_s >= self._limits.seconds
        )
        if full and self._frames:
            self._writer.close()
            self._writer = self._next(continues=self._name())
        self._writer.write(frame)
        self._frames += 1

    def flush(self) -> None:
        """Hand what was written to the operating system, if it is time for that."""
        self._writer.flush()

    def close(self) -> None:
        """Finish the last file."""
        self._writer.close()

    def _name(self) -> str:
        return f"{self._stem}-{self._part:05d}{SUFFIX}"

    def _next(self, continues: str) -> CaptureWriter:
        self._part += 1
        self._frames = 0
        self._begun_s = self._clock()
        header = msgspec.structs.replace(self._header, continues=continues)
        return CaptureWriter(self._folder / self._name(), header, self._clock)
