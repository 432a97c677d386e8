"""Write one partition of a topic into the archive: nothing torn, nothing doubled, nothing missing.

What counts is the partition's next offset in its state file. A run of offsets is written so:

1. ``writing``: a file names all data files of the run;
2. the data files, each whole under its final name or not there;
3. the state file moves to the run's next offset, in one step: from here on the run is in;
4. ``writing`` goes.

A writer that starts removes what ``writing`` names if the state did not move. So the files of a run
that was cut short are gone before the same offsets are written again, however they are cut then.
"""

import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import RawBatch
from flows.connectors.parquet import layout
from flows.connectors.parquet.tables import KINDS, Place, table_of, unreadable_table
from flows.errors import ArchiveError
from schemas.decoding import decode_or_none

Content = TypeVar("Content")

_COMPRESSION = "zstd"


class State(msgspec.Struct, frozen=True):
    """What a state file holds.

    Attributes
    ----------
    next_offset
        All messages before it that the log held are in the archive.
    topic_id
        Kafka's id of the topic; None where the broker gives none.
    """

    next_offset: int
    topic_id: str | None = None


class Writing(msgspec.Struct, frozen=True):
    """The files, below the archive's folder, of the run that ends before ``next_offset``."""

    next_offset: int
    files: list[str]


@dataclass(frozen=True, slots=True)
class Flush:
    """A run that has been written."""

    topic: str
    partition: int
    next_offset: int
    messages: int
    unreadable: int
    files: int
    seconds: float


def read_state(folder: Path, topic: str, partition: int) -> State | None:
    """Return the partition's state; None where nothing of it is archived.

    Raises
    ------
    ArchiveError
        The state file cannot be read.
    """
    return _read(folder / layout.state_file(topic, partition), State)


def uncommitted(folder: Path, topic: str, partition: int) -> set[Path]:
    """Return the files of a run that has not been written whole; to be left out by readers.

    Raises
    ------
    ArchiveError
        A file of the state cannot be read.
    """
    writing = _read(folder / layout.writing_file(topic, partition), Writing)
    if writing is None:
        return set()
    state = read_state(folder, topic, partition)
    if state is not None and state.next_offset >= writing.next_offset:
        return set()
    return {folder / file for file in writing.files}


class ArchiveWriter:
    """Writer of one partition. Used by one thread alone.

    Parameters
    ----------
    folder
        The archive's.
    start
        Offset from which on messages are wanted.
    """

    def __init__(
        self, folder: Path, topic: str, partition: int, start: int, topic_id: str | None
    ) -> None:
        self.partition = partition
        self.floor = start
        self._folder = folder
        self._topic = topic
        self._topic_id = topic_id
        self._kind = KINDS[topic]
        self._batches: list[RawBatch] = []
        self._since_s = 0.0
        self._lock: IO[bytes] | None = None
        self.rows = 0
        """Messages that wait to be written."""

    @property
    def is_open(self) -> bool:
        """Whether messages wait to be written."""
        return self.rows > 0

    @property
    def age_s(self) -> float:
        """Seconds since the oldest waiting message came."""
        return time.monotonic() - self._since_s

    def take_over(self) -> None:
        """Lock the partition and remove what a killed writer left half done.

        Raises
        ------
        ArchiveError
            Another process writes the partition, or the folder cannot be written.
        """
        try:
            self._take_lock()
            for file in uncommitted(self._folder, self._topic, self.partition):
                file.unlink(missing_ok=True)
                _temporary(file).unlink(missing_ok=True)
            (self._folder / layout.writing_file(self._topic, self.partition)).unlink(
                missing_ok=True
            )
        except OSError as error:
            raise self._failed(error) from None

    def write(self, batch: RawBatch) -> None:
        """Take the messages of a batch that are not archived yet."""
        if not batch.values or not batch.emit or batch.next_offset <= self.floor:
            return
        if not self._batches:
            self._since_s = time.monotonic()
        self._batches.append(batch)
        self.rows += len(batch.values)

    def keep_alive(self) -> None:
        """Do nothing: a folder forgets no offset."""

    def commit(self) -> Flush:
        """Write all waiting messages as one run.

        Raises
        ------
        ArchiveError
            The folder cannot be written.
        """
        began = time.monotonic()
        first, following = self._batches[0].offsets[0], self._batches[-1].next_offset
        tables, unreadable = self._tables(layout.run_name(self.partition, first, following))
        try:
            self._write_run(tables, following)
        except OSError as error:
            raise self._failed(error) from None
        done = Flush(
            topic=self._topic,
            partition=self.partition,
            next_offset=following,
            messages=self.rows,
            unreadable=unreadable,
            files=len(tables),
            seconds=time.monotonic() - began,
        )
        self._batches, self.rows, self.floor = [], 0, following
        return done

    def close(self) -> None:
        """Give the partition free."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _tables(self, name: str) -> tuple[dict[Path, pa.Table], int]:
        """Return the run's tables by file, below the archive's folder; count what is unreadable."""
        groups: dict[Path, tuple[list[Place], list[object]]] = {}
        foreign: tuple[list[Place], list[bytes]] = ([], [])
        kind = self._kind
        for batch in self._batches:
            for value, offset, ts_ms in zip(
                batch.values, batch.offsets, batch.timestamps_ms, strict=True
            ):
                place = Place(offset, ts_ms)
                message = decode_or_none(kind.decode, value)
                if message is None:
                    foreign[0].append(place)
                    foreign[1].append(value)
                    continue
                day = layout.data_folder(self._topic, kind.ts_ns(message), message.symbol)
                places, messages = groups.setdefault(day, ([], []))
                places.append(place)
                messages.append(message)
        tables = {
            day / name: table_of(kind, self.partition, places, messages)
            for day, (places, messages) in groups.items()
        }
        if foreign[0]:
            file = layout.unreadable_folder(self._topic) / name
            tables[file] = unreadable_table(self.partition, *foreign)
        return tables, len(foreign[0])

    def _write_run(self, tables: dict[Path, pa.Table], following: int) -> None:
        writing = self._folder / layout.writing_file(self._topic, self.partition)
        state = self._folder / layout.state_file(self._topic, self.partition)
        files = [str(file) for file in tables]
        _replace(writing, msgspec.json.encode(Writing(following, files)))
        folders: set[Path] = set()
        for file, table in tables.items():
            target = self._folder / file
            folders |= _make_folders(target.parent, self._folder)
            with _temporary(target).open("wb") as out:
                pq.write_table(table, out, compression=_COMPRESSION)
                out.flush()
                os.fsync(out.fileno())
            _temporary(target).rename(target)
        _sync_folders(sorted(folders))
        _replace(state, msgspec.json.encode(State(following, self._topic_id)))
        writing.unlink()

    def _take_lock(self) -> None:
        path = self._folder / layout.lock_file(self._topic, self.partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            message = (
                f"another process archives partition {self.partition} of {self._topic} into"
                f" {self._folder}; end it first, or give each its own VOLTICK_ARCHIVE"
            )
            raise ArchiveError(message) from None

    def _failed(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"the archive {self._folder} cannot be written: {error.strerror or error}"
            f" ({error.filename or self._topic}); nothing is lost, start again once it can"
        )


def _read(path: Path, kind: type[Content]) -> Content | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the archive's {path} cannot be read: {error.strerror}"
        raise ArchiveError(message) from None
    found = decode_or_none(msgspec.json.Decoder(kind).decode, content)
    if found is None:
        message = f"the archive's {path} is damaged: restore it, or archive into another folder"
        raise ArchiveError(message)
    return found


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _make_folders(folder: Path, top: Path) -> set[Path]:
    """Make a folder; return it with its parents up to ``top``, whose names have to be durable."""
    folder.mkdir(parents=True, exist_ok=True)
    return {folder, *(each for each in folder.parents if each.is_relative_to(top))}


def _sync_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path``: after a kill it holds the old or the new."""
    with _temporary(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _temporary(path).replace(path)
    _sync_folders([path.parent])
