"""Partitions that other members own, followed for their state alone (warm standby).

A follower reads a partition up to the offset that its owner has committed, never beyond, and its
batches are marked, so that they change the state of the steps and nothing is emitted. Where the
group then assigns the partition here, the state is there already and need not be rebuilt.

The state is a function of the log: one that was followed equals one that is rebuilt, bit for bit.

Delivery: each message below the committed offset once, in the partition's order.
Blocking: never; a thread asks for the offsets.
Resumes: where the ownership before it ended, or at the commit's ``rebuild_from``.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from flows.codec.batch import RawBatch, end_of_ownership
from flows.connectors.kafka.epochs import new_epoch
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.source import Read, Reader, close_in_background
from flows.errors import BrokerError, VoltickError

ASK_EVERY_S = 0.2
"""How often the owners' commits are asked for: what was committed since then is what a takeover
still has to read."""

PLAN_EVERY_S = 2.0
"""How often it is asked where to begin with partitions that are not followed yet."""

RETRY_S = 30.0
"""After so long a partition that could not be followed is begun with anew."""

FOLLOWED_BATCH = 1_024
"""Most messages in a batch that is followed: some milliseconds, for which the worker's own
partitions wait."""

_NEVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Followed:
    """What can be told of a partition that another member owns.

    Attributes
    ----------
    offset
        The state here is that of the log before this offset.
    lag
        Offsets from there to the owner's commit, as it was known last.
    """

    partition: int
    offset: int
    lag: int


class OwnerOffsets(Protocol):
    """Asks the broker about partitions of other members; both calls may wait for the answer.

    Raises
    ------
    VoltickError
        The broker does not answer, or refuses.
    """

    def starts(self, partitions: Collection[int]) -> Sequence[Start]:
        """Return where their states begin; where there is no commit, or a cut log, nothing."""

    def committed(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Return their committed offsets; those that have none are left out."""


class Follower:
    """One partition that another member owns.

    Parameters
    ----------
    start
        Where the state began. From its ``emit_from`` on the state is whole.
    epoch
        The number by which the steps know the state.
    next_offset
        Where the state is at present.
    """

    def __init__(self, start: Start, epoch: int, next_offset: int, read: Read) -> None:
        self.start = start
        self.epoch = epoch
        self.next_offset = next_offset
        self._held: list[RawBatch] = []
        begin = replace(start, read_from=next_offset, emit_from=_NEVER)
        self._reader: Reader = read(begin, epoch)

    def has_work(self, committed: int) -> bool:
        """Tell whether there may be something to read below the owner's commit."""
        first = self._held[0].offsets[0] if self._held else self.next_offset
        return first < committed

    def read(self, committed: int) -> list[RawBatch]:
        """Return what has come of the messages below the owner's commit.

        Raises
        ------
        VoltickError
            The log cannot be read on.
        """
        found, self._held = self._held or list(self._reader.next_batch()), []
        batches = []
        for batch in found:
            now, later = cut(batch, committed)
            if now.values:
                self.next_offset = now.next_offset
                batches.append(replace(now, emit=False, standby=True))
            if later.values:
                self._held.append(later)
        return batches

    def serves(self, start: Start) -> bool:
        """Tell whether the state can take the place of one that is rebuilt for this start.

        It must not be ahead of the commit, since a state cannot go back. It must be whole there.
        And it is not worth having where a rebuild would begin later in the log.
        """
        return (
            not start.anew
            and start.topic_id == self.start.topic_id
            and self.start.emit_from <= start.emit_from
            and start.read_from <= self.next_offset <= start.emit_from
        )

    def close(self) -> None:
        """Read no more; does not wait."""
        close_in_background(self._reader)

    def farewell(self) -> RawBatch:
        """Return the batch with which the steps forget the state."""
        return end_of_ownership(self.start.partition, self.epoch, self.next_offset)


class Standby:
    """The partitions that one worker follows: all that no worker of its process owns.

    Apart from :meth:`followed`, which any thread may call, and the thread that asks for offsets,
    all is for the worker's thread.

    Parameters
    ----------
    offsets
        Used by one thread alone.
    read
        Opens a reader.
    is_ready
        Whether states can be computed at full speed already. Nothing is followed before, so that
        nothing of one's own waits for it.
    on_error
        Called by the asking thread with what ends it.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        offsets: OwnerOffsets,
        read: Read,
        is_ready: Callable[[], bool],
        on_error: Callable[[BaseException], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._offsets = offsets
        self._read = read
        self._is_ready = is_ready
        self._on_error = on_error
        self._clock = clock
        self._lock = threading.Lock()
        self._followers: dict[int, Follower] = {}
        self._missing: frozenset[int] = frozenset()
        self._not_before_s: dict[int, float] = {}
        self._starts: list[Start] = []
        self._committed: dict[int, int] = {}
        self._plan_at_s = 0.0
        self._is_silent = False
        self._turn = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)

    # The worker's thread

    def read(self, others: Collection[int], *, may_begin: bool) -> list[RawBatch]:
        """Return what is there of one of the partitions that other members own.

        Parameters
        ----------
        others
            The partitions that are not assigned here.
        may_begin
            Whether partitions that are not followed yet are begun with.
        """
        if may_begin and self._is_ready():
            self._begin(others)
        due = [
            (follower, self._committed[partition])
            for partition, follower in self._followers.items()
            if partition in others
            and partition in self._committed
            and follower.has_work(self._committed[partition])
        ]
        if not due:
            return []
        self._turn += 1
        follower, committed = due[self._turn % len(due)]
        try:
            return follower.read(committed)
        except VoltickError as error:
            return self._give_up(follower, error)

    def take(self, start: Start) -> tuple[Follower | None, list[RawBatch]]:
        """End following a partition that is owned here from now on.

        Returns
        -------
        Its follower, closed, where its state serves for this start; and what the steps have to be
        told.
        """
        follower = self._remove(start.partition)
        if follower is None:
            return None, []
        follower.close()
        log = structlog.get_logger().bind(
            partition=start.partition, followed=follower.next_offset, committed=start.emit_from
        )
        if not follower.serves(start):
            log.info("standby state does not serve: rebuilt instead")
            return None, [follower.farewell()]
        log.info("standby state taken over")
        return follower, []

    def drop(self, partitions: Collection[int]) -> list[RawBatch]:
        """End following partitions that another worker of the process owns.

        Returns
        -------
        What the steps have to be told.
        """
        dropped = [self._remove(each) for each in self._followers.keys() & partitions]
        told = []
        for follower in filter(None, dropped):
            follower.close()
            told.append(follower.farewell())
        return told

    def keep(self, start: Start, epoch: int, next_offset: int) -> list[RawBatch]:
        """Follow a partition that was owned here, from the state that is there.

        Returns
        -------
        What the steps have to be told.
        """
        older = self._remove(start.partition)
        follower = Follower(start, epoch, next_offset, self._read)
        with self._lock:
            self._followers[start.partition] = follower
        self._begin_asking()
        if older is None:
            return []
        older.close()
        return [older.farewell()]

    def close(self) -> None:
        """End following."""
        self._stop.set()
        for follower in list(self._followers.values()):
            follower.close()

    # Any thread

    def followed(self) -> list[Followed]:
        """Return what is followed at present."""
        with self._lock:
            return [
                Followed(
                    partition,
                    each.next_offset,
                    max(self._committed.get(partition, 0) - each.next_offset, 0),
                )
                for partition, each in sorted(self._followers.items())
            ]

    def _begin(self, others: Collection[int]) -> None:
        with self._lock:
            starts, self._starts = self._starts, []
            for start in starts:
                partition = start.partition
                if partition in others and partition not in self._followers:
                    self._followers[partition] = Follower(
                        start, new_epoch(), start.read_from, self._read
                    )
        missing = frozenset(others) - self._followers.keys()
        if self._not_before_s:
            now_s = self._clock()
            missing -= {each for each, at_s in self._not_before_s.items() if at_s > now_s}
        self._missing = missing
        if missing:
            self._begin_asking()

    def _begin_asking(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _remove(self, partition: int) -> Follower | None:
        with self._lock:
            return self._followers.pop(partition, None)

    def _give_up(self, follower: Follower, error: VoltickError) -> list[RawBatch]:
        """Forget a state that cannot be followed; it is nobody's loss but time's."""
        partition = follower.start.partition
        structlog.get_logger().warning(
            "partition cannot be followed", partition=partition, cause=str(error)
        )
        self._remove(partition)
        self._not_before_s[partition] = self._clock() + RETRY_S
        follower.close()
        return [follower.farewell()]

    # The asking thread

    def _run(self) -> None:
        try:
            while not self._stop.wait(ASK_EVERY_S):
                self.ask()
        except BaseException as error:  # whatever ends the thread has to reach the flow
            self._on_error(error)

    def ask(self) -> None:
        """Ask where to begin, and for the owners' commits; a broker that is away is asked again."""
        try:
            if self._missing and self._clock() >= self._plan_at_s:
                self._plan_at_s = self._clock() + PLAN_EVERY_S
                starts = list(self._offsets.starts(self._missing))
                with self._lock:
                    self._starts = starts
            with self._lock:
                known = [*self._followers, *(each.partition for each in self._starts)]
            if known:
                # Replaced at once: the worker's thread reads it meanwhile.
                self._committed = dict(self._offsets.committed(known))
        except BrokerError as error:
            if not self._is_silent:
                structlog.get_logger().warning("owners' offsets are not known", cause=str(error))
            self._is_silent = True
        else:
            self._is_silent = False


def cut(batch: RawBatch, offset: int) -> tuple[RawBatch, RawBatch]:
    """Return what of a batch lies before an offset, and the rest; either may be empty."""
    at = bisect_left(batch.offsets, offset)
    before = replace(
        batch,
        values=batch.values[:at],
        offsets=batch.offsets[:at],
        timestamps_ms=batch.timestamps_ms[:at],
        next_offset=batch.offsets[at - 1] + 1 if at else batch.next_offset,
    )
    rest = replace(
        batch,
        values=batch.values[at:],
        offsets=batch.offsets[at:],
        timestamps_ms=batch.timestamps_ms[at:],
    )
    return before, rest
