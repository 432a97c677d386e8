"""The sink's thread: when it commits, how it holds the flow back, how it ends."""

import threading
from collections.abc import Callable

import pytest

from flows.codec.batch import partition_key
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.sink import PartitionWriter, TransactionalSink
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.connectors.kafka.watchdog import Progress
from flows.connectors.partition_thread import QUEUED_BATCHES
from flows.errors import BrokerError
from tests.support.polling import until
from tests.unit.connectors.kafka.fakes import FakeProducer, output, values

LONG_S = 3600.0


class Writer(TransactionalWriter):
    """Takes over without a broker, when told to."""

    def __init__(self, producer: FakeProducer) -> None:
        super().__init__(Target({}, "g", "ticks.raw", 3, 1000), producer)
        self.may_start = threading.Event()
        self.may_start.set()
        self.refusal: BaseException | None = None

    def take_over(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        self.may_start.wait(10)
        self.was_wanted = is_wanted()
        if self.refusal is not None:
            raise self.refusal


class Sink:
    """A partition's writer with what it reported."""

    def __init__(self, interval_s: float = LONG_S, start: bool = True) -> None:
        self.producer = FakeProducer()
        self.writer = Writer(self.producer)
        if not start:
            self.writer.may_start.clear()
        self.commits: list[int] = []
        self.progress = Progress(committed={3: 1})
        self.errors: list[BaseException] = []
        self.opened = 0
        self.part = PartitionWriter(
            self.writer,
            interval_s,
            lambda commit: self.commits.append(commit.batches[-1].next_offset),
            self.errors.append,
            self.progress,
            self._open,
        )

    def _open(self) -> None:
        self.opened += 1


def test_it_commits_when_the_source_has_caught_up():
    sink = Sink()
    sink.part.write_batch([output(0, 2, caught_up=False)])
    sink.part.write_batch([output(2, 4)])
    until(lambda: sink.commits, "a commit")
    assert sink.commits == [4]
    assert values(sink.producer) == [0, 1, 2, 3]


def test_under_backlog_it_commits_by_the_clock():
    sink = Sink(interval_s=0.05)
    sink.part.write_batch([output(0, 2, caught_up=False)])
    until(lambda: sink.commits == [2], "a commit")


def test_an_idle_batch_commits_what_is_open():
    sink = Sink()
    sink.part.write_batch([output(0, 2, caught_up=False)])
    sink.part.write_batch([output(2, 2, records=[])])
    until(lambda: sink.commits == [2], "a commit")


def test_a_partition_that_leaves_while_it_is_taken_over_is_never_opened():
    sink = Sink(start=False)
    sink.part.end(commit=True)
    assert not sink.part.join(0.0)
    sink.writer.may_start.set()
    assert sink.part.join(10.0)
    assert (sink.writer.was_wanted, sink.opened, sink.errors) == (False, 0, [])


def test_batches_that_wait_are_committed_together():
    sink = Sink(start=False)
    sink.part.write_batch([output(0, 2), output(2, 4), output(4, 6)])
    sink.writer.may_start.set()
    until(lambda: sink.commits, "a commit")
    assert sink.commits == [6]


def test_closing_commits_what_is_complete():
    sink = Sink()
    sink.part.write_batch([output(0, 2, caught_up=False)])
    assert sink.part.snapshot() is None
    sink.part.close()
    assert sink.commits == [2]


def test_a_full_queue_holds_the_flow_back():
    sink = Sink(start=False)
    batches = [output(at, at + 1) for at in range(QUEUED_BATCHES + 2)]
    feeder = threading.Thread(target=sink.part.write_batch, args=[batches])
    feeder.start()
    until(sink.part._queue.full, "the queue to fill")
    assert feeder.is_alive()
    sink.writer.may_start.set()
    feeder.join(10)
    sink.part.close()
    assert values(sink.producer) == list(range(QUEUED_BATCHES + 2))


def test_what_ends_the_thread_is_told_at_once_and_to_the_flow():
    sink = Sink(start=False)
    sink.writer.refusal = BrokerError("gone")
    sink.writer.may_start.set()
    until(lambda: sink.errors, "the error")
    assert sink.errors == [sink.writer.refusal]
    with pytest.raises(BrokerError, match="gone"):
        sink.part.write_batch([output(0, 1)])
    with pytest.raises(BrokerError, match="gone"):
        sink.part.close()


def test_partition_k_goes_to_sink_k():
    sink = TransactionalSink({}, "g", "t", 12, 100, 1000, print, print)
    names = sink.list_parts()
    assert names == sorted(names)
    assert [names[sink.part_fn(partition_key(k))] for k in range(12)] == names


def test_progress_is_told_after_each_commit():
    sink = Sink()
    sink.part.write_batch([output(0, 2)])
    until(lambda: sink.progress.committed == {3: 2}, "progress")


def test_progress_knows_what_an_earlier_owner_has_committed():
    sink = Sink(start=False)
    sink.writer._floor = 7
    sink.writer.may_start.set()
    until(lambda: sink.progress.committed == {3: 7}, "progress")


def test_an_idle_partition_keeps_its_commit_alive(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flows.connectors.partition_thread.KEEP_ALIVE_S", 0.01)
    sink = Sink(start=False)  # or a busy machine would find it idle before it has a batch
    sink.part.write_batch([output(0, 2)])
    sink.writer.may_start.set()
    until(lambda: sink.commits, "a commit")
    until(lambda: len(sink.producer.committed_offsets) > 3, "more commits")
    sink.part.close()
    assert {each.offset for each in sink.producer.committed_offsets} == {2}
    assert sink.commits == [2]
    assert values(sink.producer) == [0, 1]


def test_every_partition_knows_its_planned_start():
    starts = [Start(0, 0, 5), Start(1, 2, 7, replaced=9)]
    sink = TransactionalSink({}, "g", "t", 2, 100, 1000, print, print, None, starts, "predictions")
    found = [sink._targets[partition_key(k)] for k in range(2)]
    assert [target.start for target in found] == starts
    assert {target.writes for target in found} == {"predictions"}


def test_a_partition_that_is_given_up_commits_what_it_was_handed():
    opened: list[int] = []
    sink = Sink(start=False)
    sink.part._on_open = lambda: opened.append(1)
    sink.part.write_batch([output(0, 2, caught_up=False), output(2, 4, caught_up=False)])
    assert sink.part.has_room
    sink.part.end(commit=True)
    assert not sink.part.join(0.0)
    sink.writer.may_start.set()
    assert sink.part.join(10)
    assert (sink.commits, opened, sink.errors) == ([4], [1], [])


def test_a_full_queue_is_committed_to_its_end_when_the_partition_is_given_up():
    sink = Sink(start=False)
    count = QUEUED_BATCHES
    sink.part.write_batch([output(at, at + 1, caught_up=False) for at in range(count)])
    assert not sink.part.has_room
    sink.part.end(commit=True)
    sink.writer.may_start.set()
    assert sink.part.join(10)
    assert values(sink.producer) == list(range(count))


def test_a_partition_that_is_lost_commits_nothing_more():
    sink = Sink(start=False)
    sink.part.write_batch([output(0, 2, caught_up=False)])
    sink.part.end(commit=False)
    sink.writer.may_start.set()
    assert sink.part.join(10)
    assert (sink.commits, values(sink.producer), sink.errors) == ([], [], [])
