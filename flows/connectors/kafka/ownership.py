"""The partitions that a worker owns at present: taken over, read, written, and given up.

Delivery: as by :mod:`.transactions`. Every ownership has a writer of its own, which fences earlier
owners before anything is read, and a number, its epoch: batches carry it, so that what an earlier
ownership left under way meets no state and no writer of a later one.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

from flows.codec.batch import RawBatch
from flows.connectors.kafka.assigned import Assigned
from flows.connectors.kafka.owned_partition import Owned, Ownership, Take
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.source import Read
from flows.connectors.kafka.standby import Followed, Standby
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import ErrorHandler
from flows.errors import FencedError

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

SETTLED_AFTER_S = 1.0
"""Once the assignment has not changed for so long, partitions of others are begun to be followed:
before, they may be on their way here."""

_MINUTE_S = 60.0

Item = TypeVar("Item")


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
    partitions
        Of the topic, those of others among them.
    standby
        Follows what the process does not own; None where nothing does.
    worker, assigned
        Which one of the process's workers this is, and what each of them is assigned.
    """

    def __init__(
        self,
        take: Take[Item],
        read: Read,
        progress: Progress,
        on_error: ErrorHandler,
        clock: Callable[[], float] = time.monotonic,
        partitions: int = 0,
        standby: Standby | None = None,
        worker: int = 0,
        assigned: Assigned | None = None,
    ) -> None:
        self._worker = worker
        self._assigned = assigned or Assigned()
        self._partitions = frozenset(range(partitions))
        self._standby = standby
        self._take = take
        self._read = read
        self._progress = progress
        self._on_error = on_error
        self._clock = clock
        self._lock = threading.Lock()
        self._by_epoch: dict[int, Ownership[Item]] = {}
        self._reopen_s: dict[int, float] = {}
        self._fenced_s: dict[int, list[float]] = {}
        self._turned_s = clock()
        self._is_closing = False
        self._turn = 0
        self.shared_out_s: float | None = None
        """When the assignment changed last, by the clock; None before the first one."""

    # The member's thread

    def assigned(self, partitions: Sequence[int]) -> None:
        """Take partitions over; a worker that ends leaves them to who gets them next."""
        if self._is_closing:
            return
        self.shared_out_s = self._clock()
        self._assigned.add(self._worker, partitions)
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
        mine = self._assigned.of(self._worker)
        due = [each for each in due if each in mine]
        for partition in due:
            self._open(partition)

    def is_turning(self) -> bool:
        """Tell whether the worker takes its turns."""
        return self._clock() - self._turned_s < TURN_LIMIT_S

    # The worker's thread

    def read(self) -> list[RawBatch]:
        """Return what is there: of each partition that streams, and of one that is rebuilt.

        So a rebuild, however long, holds the others up by a batch at a time. Where nothing of one's
        own waits, also a batch of a partition that is followed.
        """
        self._turned_s = self._clock()
        self._turn += 1
        found: list[RawBatch] = []
        rebuilding: list[Ownership[Item]] = []
        for ownership in self._all():
            if ownership.over:
                found += self._leave(ownership)
                continue
            found += self._adopt(ownership)
            if ownership.rebuilding:
                rebuilding.append(ownership)
            else:
                found += ownership.read(self._read)
        if rebuilding:
            found += rebuilding[self._turn % len(rebuilding)].read(self._read)
        elif self._standby is not None and all(batch.caught_up for batch in found):
            found += self._follow(self._standby)
        return found

    def write(self, epoch: int, item: Item) -> None:
        """Hand a batch to the writer of its ownership; drop one whose ownership is over."""
        ownership = self._by_epoch.get(epoch)
        if ownership is not None:
            ownership.write(item)

    def finish(self) -> None:
        """Commit what is complete, everywhere, and end the writers; take nothing over any more."""
        self._is_closing = True
        self._give_up(sorted(self._assigned.of(self._worker)), commit=True)

    def close(self) -> None:
        """Close the readers."""
        for ownership in self._all():
            ownership.farewell()
        if self._standby is not None:
            self._standby.close()

    # Any thread

    def owned(self) -> list[Owned]:
        """Return what is owned at present."""
        return [Owned(each.partition, each.rebuilding) for each in self._all() if not each.over]

    def followed(self) -> list[Followed]:
        """Return what is followed at present."""
        return [] if self._standby is None else self._standby.followed()

    def _follow(self, standby: Standby) -> list[RawBatch]:
        here = self._assigned.all()
        is_settled = self._is_settled()
        told = standby.drop(here - self._assigned.of(self._worker)) if is_settled else []
        return told or standby.read(self._partitions - here, may_begin=is_settled)

    def _is_settled(self) -> bool:
        changed_s = self.shared_out_s
        return changed_s is not None and self._clock() - changed_s >= SETTLED_AFTER_S

    def _adopt(self, ownership: Ownership[Item]) -> list[RawBatch]:
        """Let an ownership that has just begun have the state that was followed, if it serves."""
        start = ownership.waiting_start
        if self._standby is None or start is None:
            return []
        follower, told = self._standby.take(start)
        if follower is not None:
            with self._lock:
                del self._by_epoch[ownership.epoch]
                ownership.adopt(start, follower, self._read)
                self._by_epoch[ownership.epoch] = ownership
                if not ownership.over:
                    self._progress.position[ownership.partition] = follower.next_offset
        return told

    def _leave(self, ownership: Ownership[Item]) -> list[RawBatch]:
        """Forget an ownership that is over; its state is followed on, or forgotten, too."""
        self._forget(ownership)
        if self._standby is None:
            return ownership.farewell()
        return ownership.hand_over(self._standby)

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
        self._assigned.remove(self._worker, leaving)
        with self._lock:
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
        if ownership.partition not in self._assigned.all():
            # Only now: the reader has noted its progress until its last batch.
            self._progress.forget(ownership.partition)
