"""What a worker owns: when a partition is read, written, given up and taken over again."""

from collections.abc import Callable
from typing import Any

import pytest

from flows.codec.batch import RawBatch
from flows.connectors.kafka import ownership
from flows.connectors.kafka.assigned import Assigned
from flows.connectors.kafka.owned_partition import Owned
from flows.connectors.kafka.ownership import FENCES_A_MINUTE, Ownerships
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.watchdog import Progress
from flows.errors import BrokerError, FencedError
from tests.support.polling import until
from tests.unit.connectors.kafka.fakes import output


class Thread:
    """A partition's writer that does what the test says."""

    def __init__(self, partition: int, on_open: Callable[[Start], None], failed: Any) -> None:
        self.partition = partition
        self.open = on_open
        self.failed = failed
        self.has_room = True
        self.written: list[Any] = []
        self.ended: list[bool] = []
        self.joins: list[float] = []
        self.comes_to_its_end = True

    def write_batch(self, items: list[Any]) -> None:
        self.written += items

    def end(self, *, commit: bool) -> None:
        self.ended.append(commit)

    def join(self, limit_s: float) -> bool:
        self.joins.append(limit_s)
        return self.comes_to_its_end


class Reader:
    """A partition's reader: a batch of one offset at each look."""

    def __init__(self, start: Start, epoch: int) -> None:
        self.start = start
        self.epoch = epoch
        self.at = start.read_from
        self.closed = False

    def next_batch(self) -> list[RawBatch]:
        self.at += 1
        return [
            RawBatch(
                partition=self.start.partition,
                values=[b"{}"],
                offsets=[self.at - 1],
                timestamps_ms=[0],
                next_offset=self.at,
                emit=self.at > self.start.emit_from,
                epoch=self.epoch,
            )
        ]

    def close(self) -> None:
        self.closed = True


class Worker:
    """Ownerships with everything around them under control."""

    def __init__(
        self, progress: Progress | None = None, number: int = 0, assigned: Assigned | None = None
    ) -> None:
        self.threads: list[Thread] = []
        self.readers: list[Reader] = []
        self.errors: list[BaseException] = []
        self.now_s = 100.0
        self.progress = progress or Progress()
        self.owns: Ownerships[Any] = Ownerships(
            self._take,
            self._read,
            self.progress,
            self.errors.append,
            clock=lambda: self.now_s,
            worker=number,
            assigned=assigned,
        )

    def _take(self, partition: int, on_open: Callable[[Start], None], failed: Any) -> Any:
        self.threads.append(Thread(partition, on_open, failed))
        return self.threads[-1]

    def _read(self, start: Start, epoch: int) -> Any:
        self.readers.append(Reader(start, epoch))
        return self.readers[-1]

    def own(self, partition: int, read_from: int = 5, emit_from: int = 5) -> Thread:
        self.owns.assigned([partition])
        self.threads[-1].open(Start(partition, read_from, emit_from))
        return self.threads[-1]

    def read(self) -> list[tuple[int, int, bool]]:
        return [(each.partition, each.next_offset, each.last) for each in self.owns.read()]


def test_a_partition_is_read_once_it_is_taken_over_and_not_before():
    worker = Worker()
    worker.owns.assigned([2])
    assert worker.read() == []
    assert worker.owns.owned() == [Owned(2, rebuilding=True)]
    worker.threads[0].open(Start(2, 5, 5))
    assert worker.read() == [(2, 6, False)]
    assert worker.owns.owned() == [Owned(2, rebuilding=False)]
    assert worker.progress.position == {2: 5}


def test_nothing_is_read_for_a_writer_that_has_enough_to_do():
    worker = Worker()
    thread = worker.own(2)
    thread.has_room = False
    assert worker.read() == []
    thread.has_room = True
    assert worker.read() == [(2, 6, False)]


def test_what_streams_is_read_at_every_turn_and_one_rebuild_at_a_time():
    worker = Worker()
    worker.own(0)
    worker.own(1, read_from=0, emit_from=50)
    worker.own(2, read_from=0, emit_from=50)
    turns = [[partition for partition, *_ in worker.read()] for _ in range(4)]
    assert all(turn[0] == 0 and len(turn) == 2 for turn in turns)
    assert sorted(turn[1] for turn in turns) == [1, 1, 2, 2]
    assert [each.rebuilding for each in worker.owns.owned()] == [False, True, True]


def test_a_rebuilt_partition_streams():
    worker = Worker()
    worker.own(1, read_from=3, emit_from=5)
    assert [worker.read() for _ in range(3)] == [[(1, 4, False)], [(1, 5, False)], [(1, 6, False)]]
    assert worker.owns.owned() == [Owned(1, rebuilding=False)]


def test_what_is_given_up_is_committed_and_forgotten():
    worker = Worker()
    thread = worker.own(2)
    worker.read()
    worker.progress.position[2] = 6
    worker.owns.revoked([2])
    assert (thread.ended, len(thread.joins)) == ([True], 1)
    assert worker.owns.owned() == []
    [farewell] = worker.owns.read()
    assert (farewell.partition, farewell.last, farewell.emit) == (2, True, False)
    assert farewell.epoch == worker.readers[0].epoch
    assert worker.progress == Progress()
    until(lambda: worker.readers[0].closed, "the reader to close")
    assert worker.read() == []


def test_what_is_lost_is_dropped_and_not_waited_for():
    worker = Worker()
    thread = worker.own(2)
    worker.owns.lost([2])
    assert (thread.ended, thread.joins) == ([False], [])
    assert worker.read() == []


def test_a_writer_that_does_not_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ownership, "FINISH_LIMIT_S", 7.0)
    worker = Worker()
    worker.own(1).comes_to_its_end = False
    worker.own(2)
    worker.owns.revoked([1, 2])
    assert [thread.joins for thread in worker.threads] == [[7.0], [7.0]]
    assert worker.owns.owned() == []


def test_a_batch_meets_the_writer_of_its_own_ownership_alone():
    worker = Worker()
    first = worker.own(3)
    [batch] = worker.owns.read()
    worker.owns.write(batch.epoch, output(5, 6))
    assert len(first.written) == 1
    worker.owns.revoked([3])
    worker.owns.write(batch.epoch, output(6, 7))
    second = worker.own(3)
    worker.owns.write(batch.epoch, output(6, 7))
    worker.read()
    worker.owns.write(batch.epoch, output(6, 7))
    assert (len(first.written), second.written) == (1, [])
    worker.owns.write(worker.readers[1].epoch, output(5, 6))
    assert len(second.written) == 1


def test_a_partition_that_comes_back_is_read_anew():
    worker = Worker()
    worker.own(3, 5, 5)
    worker.read()
    worker.owns.revoked([3])
    worker.own(3, 9, 9)
    assert worker.read() == [(3, 6, True), (3, 10, False)]
    first, second = worker.readers
    assert second.epoch > first.epoch


def test_a_takeover_that_ends_after_the_partition_left_counts_nothing():
    worker = Worker()
    worker.owns.assigned([2])
    worker.owns.revoked([2])
    worker.threads[0].open(Start(2, 5, 5))
    assert worker.read() == []
    assert worker.progress == Progress()


def test_a_partition_that_is_fenced_away_is_taken_over_again_while_it_is_assigned():
    worker = Worker()
    thread = worker.own(2)
    thread.failed(FencedError("younger"))
    assert (worker.errors, thread.ended, worker.owns.owned()) == ([], [False], [])
    worker.owns.look()
    assert len(worker.threads) == 1
    worker.now_s += 1.5
    worker.owns.look()
    assert [each.partition for each in worker.threads] == [2, 2]


def test_a_partition_that_is_fenced_away_and_then_lost_is_left_alone():
    worker = Worker()
    worker.own(2).failed(FencedError("younger"))
    worker.owns.lost([2])
    worker.now_s += 1.5
    worker.owns.look()
    assert len(worker.threads) == 1


def test_a_partition_that_is_fenced_away_again_and_again_ends_the_process():
    worker = Worker()
    worker.own(2)
    for _ in range(FENCES_A_MINUTE):
        worker.threads[-1].failed(FencedError("younger"))
        worker.now_s += 1.5
        worker.owns.look()
    assert worker.errors == []
    last = FencedError("younger")
    worker.threads[-1].failed(last)
    assert worker.errors == [last]


def test_another_error_ends_the_process_unless_the_partition_has_left():
    worker = Worker()
    thread = worker.own(2)
    gone = BrokerError("gone")
    worker.owns.lost([2])
    thread.failed(gone)
    assert worker.errors == []
    worker.own(2).failed(gone)
    assert worker.errors == [gone]


def test_a_worker_that_takes_no_turn_hangs():
    worker = Worker()
    worker.read()
    assert worker.owns.is_turning()
    worker.now_s += 31
    assert not worker.owns.is_turning()
    worker.read()
    assert worker.owns.is_turning()


def test_at_the_end_everything_is_committed():
    worker = Worker()
    for partition in range(3):
        worker.own(partition)
    worker.owns.finish()
    assert [thread.ended for thread in worker.threads] == [[True]] * 3


def test_what_one_worker_gives_to_another_stays_known_to_the_watchdog():
    progress, assigned = Progress(), Assigned()
    older, younger = Worker(progress, 0, assigned), Worker(progress, 1, assigned)
    older.own(2)
    older.read()
    older.owns.revoked([2])
    younger.own(2, read_from=6, emit_from=6)
    assert older.read() == [(2, 6, True)], "the older worker forgets its state later"
    assert progress.position == {2: 6}
    younger.owns.revoked([2])
    younger.read()
    assert progress.position == {}


def test_a_worker_that_ends_takes_nothing_over():
    worker = Worker()
    worker.own(2)
    worker.owns.finish()
    worker.owns.assigned([3])
    assert len(worker.threads) == 1, "who owns it at present is not fenced for nothing"
    worker.owns.revoked([3])
