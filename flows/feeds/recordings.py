"""Read a folder of recordings as one.

Files are read in the order of the numbers in their names, runs of a recorder in the order of their
first frames' times where all have some. A file that goes on with the file before it
(``Header.continues``) belongs to the same connection; if the end of that file, or a file between,
is missing, the frame after the hole carries ``after_loss``. Any other file begins a new connection.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from flows.errors import CaptureError
from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader, Header, LineBlock

_NAMES = "*.frames.ndjson*"


class Recording(Protocol):
    """What a replay reads: one file, or several as one."""

    header: Header

    def blocks(self) -> Iterator[list[Frame]]:
        """Yield all frames in order, some hundreds at a time."""
        ...

    def line_blocks(self) -> Iterator[LineBlock]:
        """Yield all lines in order, undecoded."""
        ...

    def close(self) -> None:
        """Close what is open; may be called twice."""
        ...


def open_recording(source: Path | Sequence[Path]) -> Recording:
    """Open a file, a folder of them, or some files in order.

    Raises
    ------
    CaptureError
        Nothing can be read, or the files are of several venues.
    """
    if isinstance(source, Path) and not source.is_dir():
        return CaptureReader(source)
    files = recordings_in(source) if isinstance(source, Path) else source
    if len(files) == 1:
        return CaptureReader(files[0])
    return RecordingSet(files, str(source) if isinstance(source, Path) else str(files[0]))


def first_received_ns(source: Path) -> int:
    """Return when a recording's first frame was received, nanoseconds since the UNIX epoch.

    Raises
    ------
    CaptureError
        Nothing can be read, or no frame has a time.
    """
    recording = open_recording(source)
    try:
        found = _first_time_ns(recording)
    finally:
        recording.close()
    if found is None:
        message = f"no frame of {source} says when it was received"
        raise CaptureError(message)
    return found


def _first_time_ns(recording: Recording) -> int | None:
    frames = (frame for block in recording.blocks() for frame in block)
    return next((each.ts_recv_ns for each in frames if each.ts_recv_ns is not None), None)


def recordings_in(folder: Path) -> list[Path]:
    """Return the recordings of a folder, in order.

    Raises
    ------
    CaptureError
        It holds none, or none that can be read.
    """
    files = sorted((path for path in folder.glob(_NAMES) if path.is_file()), key=natural)
    if not files:
        message = f"the folder {folder} holds no recording ({_NAMES})"
        raise CaptureError(message)
    runs = in_runs(files)
    times = []
    for run in runs:
        with CaptureReader(run[0]) as reader:
            times.append(_first_time_ns(reader))
    known = [each for each in times if each is not None]
    if len(known) == len(times):
        runs = [run for _, run in sorted(zip(known, runs, strict=True), key=lambda each: each[0])]
    return [file for run in runs for file in run]


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts by the numbers in a name: ``file-2`` before ``file-10``."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def in_runs(files: Iterable[Path]) -> list[list[Path]]:
    """Return the files in groups, each of which is one run of a recorder.

    A file whose header cannot be read (its recorder was killed as it began) is left out with a
    warning.

    Raises
    ------
    CaptureError
        None of some files can be read; it says why of the first.
    """
    runs: list[list[Path]] = []
    problems: list[str] = []
    for file in files:
        try:
            with CaptureReader(file) as reader:
                continues = reader.header.continues
        except CaptureError as error:
            problems.append(str(error))
            structlog.get_logger().warning(
                "a recording is left out", path=str(file), cause=str(error)
            )
            continue
        if continues and runs and runs[-1][-1].name == continues:
            runs[-1].append(file)
        else:
            runs.append([file])
    if problems and not runs:
        raise CaptureError(problems[0])
    return runs


class RecordingSet:
    """Several recordings of one venue, read as one.

    Parameters
    ----------
    files
        In order.
    name
        For errors.

    Raises
    ------
    CaptureError
        A file cannot be read, or they are of several venues.
    """

    def __init__(self, files: Sequence[Path], name: str) -> None:
        self._files = files
        self._reader: CaptureReader | None = None
        headers: list[Header] = []
        for file in files:
            with CaptureReader(file) as reader:
                headers.append(reader.header)
        venues = sorted({header.venue for header in headers})
        if len(venues) > 1:
            message = (
                f"{name} holds recordings of several venues ({', '.join(venues)}): give each venue"
                " a folder of its own"
            )
            raise CaptureError(message)
        marked = all(header.marked for header in headers)
        first = headers[0]
        self.header = msgspec.structs.replace(first, marked=marked)

    def blocks(self) -> Iterator[list[Frame]]:
        """Yield all frames in order, some hundreds at a time."""
        for lines in self.line_blocks():
            if frames := lines.frames(0, len(lines)):
                yield frames

    def line_blocks(self) -> Iterator[LineBlock]:
        """Yield all lines in order; see :meth:`flows.feeds.capture.CaptureReader.line_blocks`."""
        previous: CaptureReader | None = None
        for file in self._files:
            self.close()
            reader = self._reader = CaptureReader(file)
            if previous is not None:
                _join(reader, previous)
            yield from reader.line_blocks()
            if reader.found or previous is None:
                previous = reader
        self.close()

    def close(self) -> None:
        """Close the file that is open; may be called twice."""
        if self._reader is not None:
            self._reader.close()


def _join(reader: CaptureReader, previous: CaptureReader) -> None:
    """Mark the first frame of a file by what lies between it and the file before it."""
    continues = reader.header.continues
    is_broken = continues != previous.path.name or previous.broken_off is not None
    reader.mark_next(fresh=not continues, after_loss=bool(continues) and is_broken)
