"""The source and the sink of a worker that is a member of a group."""

import threading
from typing import Any

import pytest

from flows.connectors.kafka.group import GroupSink, GroupSource, Place, Places
from flows.connectors.kafka.ownership import Owned
from tests.unit.connectors.kafka.fakes import output


class Played:
    """Stands for a worker's member and for what it owns; notes what is asked of it."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.calls: list[Any] = []
        self.is_joined = False
        self.shared_out_s: float | None = None

    def join(self) -> None:
        self.calls.append("join")
        self.is_joined = True

    def leave(self) -> None:
        self.calls.append("leave")

    def read(self) -> list[str]:
        return [f"batch of worker {self.worker}"]

    def write(self, epoch: int, item: Any) -> None:
        self.calls.append((epoch, item))

    def owned(self) -> list[Owned]:
        return [Owned(self.worker, rebuilding=self.worker == 1)]

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
    scene.made[1].is_joined = True
    scene.made[0].shared_out_s = 0.0
    share = scene.places.share()
    assert share.joined
    assert share.since_s is not None
