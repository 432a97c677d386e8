"""The source and the sink of a worker that is a member of a group."""

import math
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from flows.connectors.kafka.group import (
    GroupSink,
    GroupSource,
    Place,
    Places,
    Share,
    figures,
)
from flows.connectors.kafka.owned_partition import Owned
from flows.connectors.kafka.standby import Followed
from tests.unit.connectors.kafka.fakes import output


class Played:
    """Stands for a worker's member and for what it owns; notes what is asked of it."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.calls: list[Any] = []
        self.is_joined = False
        self.is_idle = False
        self.shared_out_s: float | None = None

    def join(self) -> None:
        self.calls.append("join")
        self.is_joined = True

    def leave(self) -> None:
        self.calls.append("leave")

    def read(self) -> list[str]:
        return [] if self.is_idle else [f"batch of worker {self.worker}"]

    def write(self, epoch: int, item: Any) -> None:
        self.calls.append((epoch, item))

    def owned(self) -> list[Owned]:
        return [Owned(self.worker, rebuilding=self.worker == 1)]

    def followed(self) -> list[Followed]:
        return [Followed(7, 40 - self.worker, self.worker)]

    def finish(self) -> None:
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")


class Scene:
    def __init__(self) -> None:
        self.made: list[Played] = []
        self.places: Places[Any] = Places(self._make)
        self.stop = threading.Event()

    def _make(self, worker: int) -> Place[Any]:
        played: Any = Played(worker)
        self.made.append(played)
        return Place(played, played)


def test_each_worker_is_a_member_and_reads_what_it_owns_until_it_is_stopped():
    scene = Scene()
    source = GroupSource(scene.places, scene.stop)
    parts = [source.build("ticks", worker, 2) for worker in range(2)]
    assert [part.next_batch() for part in parts] == [["batch of worker 0"], ["batch of worker 1"]]
    scene.stop.set()
    with pytest.raises(StopIteration):
        parts[0].next_batch()
    parts[0].close()
    assert [each.calls for each in scene.made] == [["join", "close"], ["join"]]


def test_a_worker_writes_by_ownership_and_leaves_once_all_is_committed():
    scene = Scene()
    sink = GroupSink(scene.places)
    part = sink.build("write", 0, 1)
    batches = [output(0, 2, epoch=4), output(0, 2, epoch=7)]
    part.write_batch([("00003", batch) for batch in batches])
    part.close()
    assert scene.made[0].calls == [(4, batches[0]), (7, batches[1]), "finish", "leave"]


def test_source_and_sink_of_a_worker_have_one_place():
    scene = Scene()
    GroupSink(scene.places).build("write", 1, 2)
    GroupSource(scene.places, scene.stop).build("ticks", 1, 2)
    assert [each.worker for each in scene.made] == [1]


def test_a_share_is_that_of_all_workers():
    scene = Scene()
    assert (scene.places.share().owned, scene.places.share().joined) == ([], False)
    source = GroupSource(scene.places, scene.stop)
    source.build("ticks", 0, 2)
    scene.places.of(1)
    share = scene.places.share()
    assert share.owned == [Owned(0, rebuilding=False), Owned(1, rebuilding=True)]
    assert (share.joined, share.since_s) == (False, None)
    assert share.followed == [Followed(7, 39, 1)], "each partition once, the furthest behind"
    scene.made[1].is_joined = True
    scene.made[0].shared_out_s = 0.0
    share = scene.places.share()
    assert share.joined
    assert share.since_s is not None


def test_the_figures_of_several_topics_are_their_sums_and_the_newest_change():
    ticks = Share([Owned(0, rebuilding=True), Owned(2, rebuilding=False)], joined=True, since_s=9.0)
    candles = Share([Owned(0, rebuilding=False)], joined=True, since_s=4.0)
    alone = Share([], joined=True, since_s=None)
    assert figures([ticks, candles, alone]) == (3, 1, 4.0)
    assert math.isnan(figures([alone])[2])


def test_a_source_without_anything_to_read_rests():
    scene = Scene()
    part = GroupSource(scene.places, scene.stop, rest_s=60.0).build("ticks", 0, 1)
    part.next_batch()
    assert part.next_awake() is None
    scene.made[0].is_idle = True
    part.next_batch()
    awake = part.next_awake()
    assert awake is not None
    assert awake > datetime.now(UTC)
