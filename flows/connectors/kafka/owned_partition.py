"""One partition that a worker owns, from its arrival to its leaving."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from flows.codec.batch import RawBatch, end_of_ownership
from flows.connectors.kafka.epochs import new_epoch
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.source import Read, Reader, close_in_background
from flows.connectors.kafka.standby import Follower, Standby
from flows.connectors.partition_thread import ErrorHandler, PartitionThread
from flows.errors import VoltickError

Item = TypeVar("Item")
# Starts the partition's thread, which reports its start, or what ended it.
Take = Callable[[int, Callable[[Start], None], ErrorHandler], PartitionThread[Item, Any]]


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
        self.epoch = new_epoch()
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
    def waiting_start(self) -> Start | None:
        """Where it starts; None before it is taken over, and once it is read."""
        return self._start if self._reader is None else None

    def adopt(self, start: Start, follower: Follower, read: Read) -> None:
        """Begin with the state that a follower has brought to where it is; before any read."""
        self.epoch = follower.epoch
        self._next_offset = follower.next_offset
        self._start = replace(start, read_from=follower.next_offset)
        self._reader = read(self._start, self.epoch)

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

    def hand_over(self, standby: Standby) -> list[RawBatch]:
        """Close the reader, and let the partition be followed; return what the steps have to know.

        The state may be ahead of what is committed: then it serves nothing until others have
        committed as much.
        """
        start = self._start
        if start is None or not self._close_reader():
            return []
        return standby.keep(start, self.epoch, self._next_offset)

    def farewell(self) -> list[RawBatch]:
        """Close the reader; return the batch with which the steps forget the partition."""
        if not self._close_reader():
            return []
        return [end_of_ownership(self.partition, self.epoch, self._next_offset)]

    def _close_reader(self) -> bool:
        """Close the reader without waiting; return whether there was one, and so a state."""
        reader, self._reader = self._reader, None
        if reader is None:
            return False
        close_in_background(reader)
        return True

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
