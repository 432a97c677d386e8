"""Write one partition of a topic into the archive: nothing torn, nothing doubled, nothing missing.

What counts is the state, see :mod:`.state`. A run of offsets is written so:

1. ``writing``: a file names all data files of the run;
2. the data files, each whole under its final name or not there;
3. the state moves to the run's next offset, in one step: from here on the run is in;
4. ``writing`` goes.

A writer that starts first makes an epoch of its own, so that whatever an earlier one still writes
counts no more, and then removes the files that ``writing`` names and that do not count.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import RawBatch
from flows.connectors.parquet import layout
from flows.connectors.parquet.catalog import decoded
from flows.connectors.parquet.layout import RunName, parse_run
from flows.connectors.parquet.state import State, Writing, advanced, next_epoch
from flows.connectors.parquet.storage import Held, Storage
from flows.connectors.parquet.tables import KINDS, UNREADABLE, Columns, TableBuilder
from flows.errors import FencedError

COMPRESSION = "zstd"

_NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Flush:
    """A run that has been written.

    Attributes
    ----------
    size
        Of all its files, bytes.
    seconds
        How long it took.
    """

    topic: str
    partition: int
    next_offset: int
    messages: int
    unreadable: int
    files: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a writer begins, as it was planned.

    Attributes
    ----------
    offset
        First one that is wanted.
    log_id
        Of the log that is there now: the state's offset counts if it is of the same.
    """

    offset: int
    log_id: str


class ArchiveWriter:
    """Writer of one partition. Used by one thread alone.

    Parameters
    ----------
    beginning
        As planned at the start of the process.
    plan
        Plans it anew when the partition is taken over; given where the members of a group share the
        partitions out. What keeps two of them apart is the state.
    """

    def __init__(
        self,
        storage: Storage,
        topic: str,
        partition: int,
        beginning: Beginning,
        plan: Callable[[], Beginning] | None = None,
    ) -> None:
        self.partition = partition
        self._plan = plan
        self.floor = beginning.offset
        """What lies below this offset is archived."""
        self.rows = 0
        """Messages that wait to be written."""
        self._storage = storage
        self._topic = topic
        self._beginning = beginning
        self._kind = KINDS[topic]
        self._held: Held | None = None
        self._state = State(beginning.offset, beginning.log_id)
        self._version: str | None = None
        self._next_offset = beginning.offset
        self._unreadable = 0
        self._since_s = 0.0
        # By day and symbol; and by folder, for long symbols may share one.
        self._groups: dict[tuple[int, str], TableBuilder] = {}
        self._folders: dict[str, TableBuilder] = {}

    @property
    def is_open(self) -> bool:
        """Whether messages wait to be written."""
        return self.rows > 0

    @property
    def age_s(self) -> float:
        """Seconds since the oldest waiting message came."""
        return time.monotonic() - self._since_s

    def leave(self) -> None:
        """Do nothing: files are written without taking anything over again."""

    def take_over(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Own the partition and remove what an earlier writer left half done.

        Parameters
        ----------
        is_wanted
            Where it returns False, nothing is done.

        Raises
        ------
        ArchiveError
            A process outside of the group writes the partition, or the archive cannot be written.
        FencedError
            Another process takes it over at the same moment.
        """
        if not is_wanted():
            return
        what = f"partition {self.partition} of {self._topic}"
        lock = layout.lock_file(self._topic, self.partition)
        self._held = self._storage.hold(lock, what, shared=self._plan is not None)
        if self._plan is not None:
            self._beginning = self._plan()
        path = layout.state_file(self._topic, self.partition)
        found = self._storage.read_version(path)
        known = None if found is None else decoded(self._storage, path, found[0], State)
        start = self._beginning.offset
        if known is not None and known.log_id == self._beginning.log_id:
            # An earlier owner may have come further since the start was planned.
            start = max(start, known.next_offset)
        self._version = None if found is None else found[1]
        self._move(next_epoch(known, start, self._beginning.log_id))
        self.floor = self._next_offset = start
        self._remove_unfinished()

    def write(self, batch: RawBatch) -> None:
        """Take the messages of a batch that are not archived yet."""
        if not batch.values or not batch.emit or batch.next_offset <= self._next_offset:
            return
        if not self.rows:
            self._since_s = time.monotonic()
        begin = self._next_offset
        for value, offset, ts_ms in zip(
            batch.values, batch.offsets, batch.timestamps_ms, strict=True
        ):
            if offset >= begin:
                self._add(value, offset, ts_ms)
        self._next_offset = batch.next_offset

    def keep_alive(self) -> None:
        """Do nothing: an archive forgets no offset."""

    def commit(self) -> Flush:
        """Write all waiting messages as one run.

        Raises
        ------
        ArchiveError
            The archive cannot be written.
        FencedError
            Another process has taken the partition over; the run is its to write.
        """
        began = time.monotonic()
        name = str(RunName(self.partition, self._state.epoch, self.floor, self._next_offset))
        files = [f"{folder}/{name}" for folder in self._folders]
        writing = layout.writing_file(self._topic, self.partition, self._state.epoch)
        self._storage.put(writing, msgspec.json.encode(Writing(files)))
        size = 0
        for path, builder in zip(files, self._folders.values(), strict=True):
            content = parquet_of(builder.table())
            self._storage.put(path, memoryview(content))
            size += content.size
        try:
            self._move(advanced(self._state, self._next_offset))
        except FencedError:
            for path in (*files, writing):
                self._storage.delete(path)
            raise
        self._storage.delete(writing)
        done = Flush(
            topic=self._topic,
            partition=self.partition,
            next_offset=self._next_offset,
            messages=self.rows,
            unreadable=self._unreadable,
            files=len(files),
            size=size,
            seconds=time.monotonic() - began,
        )
        self.floor, self.rows, self._unreadable = self._next_offset, 0, 0
        self._groups, self._folders = {}, {}
        return done

    def close(self) -> None:
        """Give the partition free."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _add(self, value: bytes, offset: int, ts_ms: int) -> None:
        message = self._kind.message(value)
        if message is None:
            folder = layout.unreadable_folder(self._topic)
            self._builder(folder, UNREADABLE).add(offset, ts_ms, value)
            self._unreadable += 1
        else:
            self._group(message).add(offset, ts_ms, message)
        self.rows += 1

    def _group(self, message: Any) -> TableBuilder:
        ts_ns, symbol = self._kind.ts_ns(message), message.symbol
        key = ts_ns // _NS_PER_DAY, symbol
        builder = self._groups.get(key)
        if builder is None:
            folder = layout.data_folder(self._topic, ts_ns, symbol)
            builder = self._groups[key] = self._builder(folder, self._kind.columns)
        return builder

    def _builder(self, folder: str, columns: Columns) -> TableBuilder:
        builder = self._folders.get(folder)
        if builder is None:
            builder = self._folders[folder] = TableBuilder(columns, self.partition)
        return builder

    def _move(self, state: State) -> None:
        """Put a new state in the place of the one that is known.

        Members of a group take turns, where the storage has locks.
        """
        path = layout.state_file(self._topic, self.partition)
        with closing(self._storage.take_turn(layout.turn_file(self._topic, self.partition))):
            self._version = self._storage.swap(path, msgspec.json.encode(state), self._version)
        self._state = state

    def _remove_unfinished(self) -> None:
        # An owner that was killed while it wrote this one has left an unnamed part of it.
        before = layout.writing_file(self._topic, self.partition, self._state.epoch - 1)
        prefix = layout.writing_prefix(self._topic, self.partition)
        for writing, _size in list(self._storage.files(prefix)):
            content = self._storage.read(writing)
            if content is None:
                continue
            for path in decoded(self._storage, writing, content, Writing).files:
                run = parse_run(path.rpartition("/")[2])
                if run is not None and self._state.span_of(run) is None:
                    self._storage.delete(path)
            self._storage.delete(writing)
        self._storage.delete(before)


def parquet_of(table: pa.Table) -> pa.Buffer:
    """Return a table as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=COMPRESSION)
    return sink.getvalue()
