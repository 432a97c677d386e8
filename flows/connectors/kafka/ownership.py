"""The partitions that a worker owns at present: taken over, read, written, and given up.

Delivery: as by :mod:`.transactions`. Every ownership has a writer of its own, which fences earlier
owners before anything is read, and a number, its epoch: batches carry it, so that what an earlier
ownership left under way meets no state and no writer of a later one.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from bytewax.inputs import StatefulSourcePartition

from flows.codec.batch import RawBatch
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import ErrorHandler, PartitionThread
from flows.errors import FencedError, VoltickError

FINISH_LIMIT_S = 5.0
"""How long a partition that is given up may take to commit what is complete; after it the next
owner's fence does, and what is open is done again there."""

REOPEN_AFTER_S = 1.0
"""A partition that was fenced away and that the group still leaves here is taken over again after
this: the fence was that of a member which the group had given up already."""

FENCES_A_MINUTE = 5
"""More of them, and somebody outside of the group owns the partition, too."""

TURN_LIMIT_S = 30.0
"""A worker that has taken no turn for so long hangs."""

_MINUTE_S = 60.0
# Unique in the process, whichever worker owns.
_EPOCHS = itertools.count(1)

Item = TypeVar("Item")
Reader = StatefulSourcePartition[RawBatch, None]
# Starts the partition's thread, which reports its start, or what ended it.
Take = Callable[[int, Callable[[Start], None], ErrorHandler], PartitionThread[Item, Any]]
# Opens a reader at a start, for an epoch.
Read = Callable[[Start, int], Reader]


@dataclass(frozen=True, slots=True)
class Owned:
    """What can be told of a partition.

    Attributes
    ----------
    rebuilding
        Whether its state is not there yet.
    """

    partition: int
    rebuilding: bool


class Ownership(Generic[Item]):
    """One partition from its arrival to its leaving."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.epoch = next(_EPOCHS)
        self.over = False
        """Whether nothing more is read or written."""
        self._start: Start | None = None
        self._reader: Reader | None = None
        self._next_offset = 0
        self._thread: PartitionThread[Item, Any] | None = None

    def open(
        self, take: Take[Item], on_open: Callable[[Start], None], failed: ErrorHandler
    ) -> None:
        """Start the thread that takes the partition over."""

        def opened(start: Start) -> None:
            on_open(start)
            self._next_offset = start.read_from
            self._start = start

        self._thread = take(self.partition, opened, failed)

    @property
    def rebuilding(self) -> bool:
        """Whether it is taken over still, or reads what is out already."""
        start = self._start
        return start is None or self._next_offset < start.emit_from

    def read(self, read: Read) -> list[RawBatch]:
        """Return what is there to be read, unless the writer has enough to do."""
        start, thread = self._start, self._thread
        if start is None or thread is None or not thread.has_room:
            return []
        if self._reader is None:
            self._reader = read(start, self.epoch)
        found = list(self._reader.next_batch())
        if found:
            self._next_offset = found[-1].next_offset
        return found

    def farewell(self) -> list[RawBatch]:
        """Close the reader; return the batch with which the steps forget the partition."""
        reader, self._reader = self._reader, None
        if reader is None:
            return []
        threading.Thread(target=reader.close, name="close-reader", daemon=True).start()
        return [
            RawBatch(
                partition=self.partition,
                values=[],
                offsets=[],
                timestamps_ms=[],
                next_offset=self._next_offset,
                emit=False,
                epoch=self.epoch,
                last=True,
            )
        ]

    def write(self, item: Item) -> None:
        """Hand a batch to the writer; one that comes too late is dropped."""
        if self.over or self._thread is None:
            return
        # What ended the thread was reported by it, and ended the ownership, or the process.
        with suppress(VoltickError):
            self._thread.write_batch([item])

    def end(self, *, commit: bool) -> None:
        """Read and write nothing more; commit what is complete, or drop it. Does not wait."""
        self.over = True
        if self._thread is not None:
            self._thread.end(commit=commit)

    def join(self, limit_s: float) -> bool:
        """Wait for the writer's end; return whether it came."""
        return self._thread is None or self._thread.join(limit_s)


class Ownerships(Generic[Item]):
    """The ownerships of one worker.

    A member's thread brings and takes partitions; the worker's thread reads and writes them.

    Parameters
    ----------
    progress
        Of all workers of the process.
    on_error
        Ends the process.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        take: Take[Item],
        read: Read,
        progress: Progress,
        on_error: ErrorHandler,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take = take
        self._read = read
        self._progress = progress
        self._on_error = on_error
        self._clock = clock
        self._lock = threading.Lock()
        self._assigned: set[int] = set()
        self._by_epoch: dict[int, Ownership[Item]] = {}
        self._reopen_s: dict[int, float] = {}
        self._fenced_s: dict[int, list[float]] = {}
        self._turned_s = clock()
        self._turn = 0
        self.shared_out_s: float | None = None
        """When the assignment changed last, by the clock; None before the first one."""

    # The member's thread

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take partitions over."""
        self.shared_out_s = self._clock()
        with self._lock:
            self._assigned |= set(partitions)
        for partition in partitions:
            self._open(partition)

    def revoked(self, partitions: Sequence[int]) -> None:
        """Give partitions up; return once what is complete is committed, or time is over."""
        self._give_up(partitions, commit=True)

    def lost(self, partitions: Sequence[int]) -> None:
        """Drop partitions that others may own already."""
        self._give_up(partitions, commit=False)

    def look(self) -> None:
        """Take partitions over again that were fenced away and are still assigned."""
        now_s = self._clock()
        with self._lock:
            due = [each for each, at_s in self._reopen_s.items() if at_s <= now_s]
            for partition in due:
                del self._reopen_s[partition]
            due = [each for each in due if each in self._assigned]
        for partition in due:
            self._open(partition)

    def is_turning(self) -> bool:
        """Tell whether the worker takes its turns."""
        return self._clock() - self._turned_s < TURN_LIMIT_S

    # The worker's thread

    def read(self) -> list[RawBatch]:
        """Return what is there: of each partition that streams, and of one that is rebuilt.

        So a rebuild, however long, holds the others up by a batch at a time.
        """
        self._turned_s = self._clock()
        self._turn += 1
        found: list[RawBatch] = []
        rebuilding: list[Ownership[Item]] = []
        for ownership in self._all():
            if ownership.over:
                self._forget(ownership)
                found += ownership.farewell()
            elif ownership.rebuilding:
                rebuilding.append(ownership)
            else:
                found += ownership.read(self._read)
        if rebuilding:
            found += rebuilding[self._turn % len(rebuilding)].read(self._read)
        return found

    def write(self, epoch: int, item: Item) -> None:
        """Hand a batch to the writer of its ownership; drop one whose ownership is over."""
        ownership = self._by_epoch.get(epoch)
        if ownership is not None:
            ownership.write(item)

    def finish(self) -> None:
        """Commit what is complete, everywhere, and end the writers."""
        with self._lock:
            owned = sorted(self._assigned)
        self._give_up(owned, commit=True)

    def close(self) -> None:
        """Close the readers."""
        for ownership in self._all():
            ownership.farewell()

    # Any thread

    def owned(self) -> list[Owned]:
        """Return what is owned at present."""
        return [Owned(each.partition, each.rebuilding) for each in self._all() if not each.over]

    def _all(self) -> list[Ownership[Item]]:
        with self._lock:
            return list(self._by_epoch.values())

    def _open(self, partition: int) -> None:
        ownership: Ownership[Item] = Ownership(partition)
        self._progress.forget(partition)
        with self._lock:
            self._by_epoch[ownership.epoch] = ownership

        def on_open(start: Start) -> None:
            with self._lock:
                if not ownership.over:
                    self._progress.position[partition] = start.read_from

        def failed(error: BaseException) -> None:
            self._failed(ownership, error)

        ownership.open(self._take, on_open, failed)

    def _failed(self, ownership: Ownership[Item], error: BaseException) -> None:
        if ownership.over:
            return
        if not isinstance(error, FencedError) or not self._may_reopen(ownership.partition):
            self._on_error(error)
            return
        structlog.get_logger().warning(
            "partition fenced away", partition=ownership.partition, cause=str(error)
        )
        with self._lock:
            ownership.end(commit=False)
            self._reopen_s[ownership.partition] = self._clock() + REOPEN_AFTER_S

    def _may_reopen(self, partition: int) -> bool:
        now_s = self._clock()
        with self._lock:
            before = self._fenced_s.get(partition, [])
            recent = [at_s for at_s in before if now_s - at_s < _MINUTE_S]
            self._fenced_s[partition] = [*recent, now_s]
        return len(recent) < FENCES_A_MINUTE

    def _give_up(self, partitions: Sequence[int], *, commit: bool) -> None:
        leaving = set(partitions)
        self.shared_out_s = self._clock()
        with self._lock:
            self._assigned -= leaving
            for partition in leaving:
                self._reopen_s.pop(partition, None)
            owned = [
                each
                for each in self._by_epoch.values()
                if each.partition in leaving and not each.over
            ]
            for ownership in owned:
                ownership.end(commit=commit)
        limit_s = self._clock() + FINISH_LIMIT_S
        for ownership in owned if commit else ():
            if not ownership.join(max(limit_s - self._clock(), 0.0)):
                structlog.get_logger().warning(
                    "partition given up before its commit was over: the next owner does it again",
                    partition=ownership.partition,
                )

    def _forget(self, ownership: Ownership[Item]) -> None:
        with self._lock:
            self._by_epoch.pop(ownership.epoch, None)
            here = any(each.partition == ownership.partition for each in self._by_epoch.values())
        if not here:
            # Only now: the reader has noted its progress until its last batch.
            self._progress.forget(ownership.partition)
