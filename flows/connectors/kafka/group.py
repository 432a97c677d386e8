"""A topic shared out by a consumer group, as a Bytewax source and sink.

Each worker is a member of the group and owns the partitions that the group assigns to it, from
source to sink; nothing crosses workers. Start more workers, anywhere, and they take their share;
end some, however, and the others take theirs over.

Delivery: exactly once, as by :mod:`.transactions`.
Blocking: never in the source; in the sink only while a partition's queue is full, which the source
avoids by reading nothing for it.
Resumes: at the committed offset. The engine's own recovery is not used.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from flows.codec.batch import RawBatch
from flows.connectors.kafka.membership import Member
from flows.connectors.kafka.owned_partition import Owned
from flows.connectors.kafka.ownership import Ownerships
from flows.connectors.kafka.standby import Followed


class Owning(Protocol):
    """A batch that knows the ownership it belongs to."""

    @property
    def epoch(self) -> int: ...  # noqa: D102


Item = TypeVar("Item", bound=Owning)


@dataclass(frozen=True, slots=True)
class Place(Generic[Item]):
    """A worker's membership and what it owns."""

    member: Member
    ownerships: Ownerships[Item]


@dataclass(frozen=True, slots=True)
class Share:
    """What a process has of the group's partitions.

    Attributes
    ----------
    joined
        Whether the group knows all its workers.
    since_s
        Seconds since the assignment of any of them changed; None before the first one.
    followed
        What it follows of the partitions of others.
    """

    owned: list[Owned]
    joined: bool
    since_s: float | None
    followed: Sequence[Followed] = ()


def figures(shares: Sequence[Share]) -> tuple[int, int, float]:
    """Return how many partitions are owned, how many of them rebuilt, and for how long, seconds.

    The last is NaN where no group shares them out.
    """
    owned = [each for share in shares for each in share.owned]
    times_s = [share.since_s for share in shares if share.since_s is not None]
    return len(owned), sum(each.rebuilding for each in owned), min(times_s, default=math.nan)


def furthest_behind(followed: Iterable[Followed]) -> list[Followed]:
    """Return each partition once, as the worker has it that is the furthest behind with it."""
    found: dict[int, Followed] = {}
    for each in followed:
        known = found.setdefault(each.partition, each)
        if each.offset < known.offset:
            found[each.partition] = each
    return [found[partition] for partition in sorted(found)]


class Places(Generic[Item]):
    """The places of a process's workers, each made when its worker asks first."""

    def __init__(self, make: Callable[[int], Place[Item]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: dict[int, Place[Item]] = {}

    def of(self, worker: int) -> Place[Item]:
        """Return a worker's place."""
        with self._lock:
            if worker not in self._made:
                self._made[worker] = self._make(worker)
            return self._made[worker]

    def share(self) -> Share:
        """Return what all of them own."""
        with self._lock:
            places = list(self._made.values())
        times_s = [at_s for each in places if (at_s := each.ownerships.shared_out_s) is not None]
        return Share(
            [owned for each in places for owned in each.ownerships.owned()],
            bool(places) and all(each.member.is_joined for each in places),
            time.monotonic() - max(times_s) if times_s else None,
            furthest_behind(followed for each in places for followed in each.ownerships.followed()),
        )


class GroupSource(DynamicSource[RawBatch], Generic[Item]):
    """The partitions that the group assigns to a worker.

    Parameters
    ----------
    stop
        When set, every worker ends after its current batches, and with them the dataflow.
    rest_s
        Time between two looks where there was nothing to be read; 0: the engine's own.
    """

    def __init__(self, places: Places[Item], stop: threading.Event, rest_s: float = 0.0) -> None:
        self._places = places
        self._stop = stop
        self._rest_s = rest_s

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSourcePartition[RawBatch]:
        """Join the group."""
        del step_id, worker_count
        place = self._places.of(worker_index)
        place.member.join()
        return _Reading(place.ownerships, self._stop, self._rest_s)


class _Reading(StatelessSourcePartition[RawBatch]):
    def __init__(self, ownerships: Ownerships[Any], stop: threading.Event, rest_s: float) -> None:
        self._ownerships = ownerships
        self._stop = stop
        self._rest = timedelta(seconds=rest_s)
        self._awake: datetime | None = None

    def next_batch(self) -> list[RawBatch]:
        if self._stop.is_set():
            raise StopIteration
        found = self._ownerships.read()
        self._awake = None if found or not self._rest else datetime.now(UTC) + self._rest
        return found

    def next_awake(self) -> datetime | None:
        return self._awake

    def close(self) -> None:
        self._ownerships.close()


class GroupSink(DynamicSink[tuple[str, Item]]):
    """The writers of the partitions that the group assigns to a worker."""

    def __init__(self, places: Places[Item]) -> None:
        self._places = places

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[tuple[str, Item]]:
        """Return the worker's writers."""
        del step_id, worker_count
        return _Writing(self._places.of(worker_index))


class _Writing(StatelessSinkPartition[tuple[str, Item]]):
    def __init__(self, place: Place[Item]) -> None:
        self._place = place

    def write_batch(self, items: list[tuple[str, Item]]) -> None:
        for _partition, item in items:
            self._place.ownerships.write(item.epoch, item)

    def close(self) -> None:
        """Commit what is complete, then leave, so that the group shares out what is free."""
        self._place.ownerships.finish()
        self._place.member.leave()
