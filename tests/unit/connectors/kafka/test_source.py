"""A partition's reader: what it hands on, where it cuts, when it says that it has caught up."""

import threading

import pytest
from confluent_kafka import KafkaError

from flows.codec.batch import partition_key
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.source import PartitionReader
from flows.connectors.kafka.watchdog import Progress
from flows.errors import BrokerError, LogTrimmedError
from tests.unit.connectors.kafka.fakes import FakeConsumer, FakeMessage, end_of_log


def reader(consumer: FakeConsumer, read_from: int = 0, emit_from: int = 0, **more):
    start = Start(2, read_from, emit_from)
    return PartitionReader(consumer, "ticks.raw", start, 100, threading.Event(), **more)


def messages(*offsets: int) -> list[FakeMessage]:
    return [FakeMessage(offset, b"v%d" % offset, timestamp_ms=offset * 10) for offset in offsets]


def test_partitions_are_ordered_by_name_as_by_number():
    names = [partition_key(partition) for partition in range(12)]
    assert sorted(names) == names
    assert [int(name) for name in names] == list(range(12))


def test_a_batch_carries_what_was_read():
    [batch] = reader(FakeConsumer(messages(0, 1, 5))).next_batch()
    assert (batch.partition, batch.next_offset) == (2, 6)
    assert batch.values == [b"v0", b"v1", b"v5"]
    assert batch.offsets == [0, 1, 5]
    assert batch.timestamps_ms == [0, 10, 50]
    assert batch.emit
    assert not batch.caught_up


def test_the_first_batch_is_small_and_later_ones_are_whole(monkeypatch):
    monkeypatch.setattr("flows.connectors.kafka.source.FIRST_BATCH", 2)
    consumer = FakeConsumer(messages(0, 1), messages(*range(2, 102)))
    part = reader(consumer)
    sizes = [len(batch.values) for _ in range(2) for batch in part.next_batch()]
    assert sizes == [2, 100]
    assert consumer.asked == [2, 100]


def test_nothing_at_hand_is_no_batch():
    assert list(reader(FakeConsumer()).next_batch()) == []


def test_a_tombstone_is_empty_bytes():
    [batch] = reader(FakeConsumer([FakeMessage(0, None)])).next_batch()
    assert batch.values == [b""]


def test_at_the_known_end_of_the_log_it_has_caught_up():
    [batch] = reader(FakeConsumer(messages(0, 1), high=2)).next_batch()
    assert batch.caught_up


def test_the_end_of_the_log_behind_a_marker_is_told_by_the_broker():
    [batch] = reader(FakeConsumer([*messages(0, 1), end_of_log(3)], high=3)).next_batch()
    assert batch.caught_up
    assert batch.next_offset == 2


def test_an_end_followed_by_messages_is_no_end():
    [batch] = reader(FakeConsumer([*messages(0), end_of_log(1), *messages(1)])).next_batch()
    assert not batch.caught_up


def test_a_late_end_of_log_gives_one_idle_batch():
    part = reader(FakeConsumer(messages(0, 1), [end_of_log(2)], [end_of_log(2)]))
    part.next_batch()
    [idle] = part.next_batch()
    assert (idle.values, idle.next_offset, idle.caught_up, idle.emit) == ([], 2, True, True)
    assert list(part.next_batch()) == []


def test_after_catching_up_an_end_of_log_is_silent():
    part = reader(FakeConsumer(messages(0, 1), [end_of_log(2)], high=2))
    part.next_batch()
    assert list(part.next_batch()) == []


def test_a_rebuild_is_cut_exactly_at_the_committed_offset():
    part = reader(FakeConsumer(messages(3, 4), messages(6, 7, 9, 10), messages(11)), 3, 9)
    [first] = part.next_batch()
    rebuilt, fresh = part.next_batch()
    [last] = part.next_batch()
    assert (first.emit, first.offsets) == (False, [3, 4])
    assert (rebuilt.emit, rebuilt.offsets, rebuilt.next_offset) == (False, [6, 7], 8)
    assert not rebuilt.caught_up
    assert (fresh.emit, fresh.offsets, fresh.timestamps_ms) == (True, [9, 10], [90, 100])
    assert last.emit


def test_it_ends_when_told_to():
    stop = threading.Event()
    part = PartitionReader(FakeConsumer(messages(0)), "ticks.raw", Start(0, 0, 0), 10, stop)
    stop.set()
    with pytest.raises(StopIteration):
        part.next_batch()


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
def test_an_offset_that_has_left_the_log_is_refused(code: int):
    part = reader(FakeConsumer([FakeMessage(7, error=KafkaError(code))]), 7, 7)
    with pytest.raises(LogTrimmedError, match=r"partition 2 of ticks.raw: offset 7 is no longer"):
        part.next_batch()


def test_any_other_error_ends_the_flow():
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not yours")
    part = reader(FakeConsumer([FakeMessage(0, error=error)]))
    with pytest.raises(BrokerError, match="cannot be read at offset 0: not yours"):
        part.next_batch()


def test_progress_and_lag_are_told():
    progress, lags = Progress(), []
    part = reader(
        FakeConsumer(messages(0, 1), [end_of_log(5)], high=5),
        observe_lag=lambda partition, lag: lags.append((partition, lag)),
        progress=progress,
    )
    part.next_batch()
    assert lags == [(2, 3)]
    assert (progress.position, progress.taken) == ({2: 2}, {2: 2})
    part.next_batch()
    assert (progress.position, progress.taken) == ({2: 5}, {2: 2})
    assert lags == [(2, 3), (2, 0)]


def test_aborted_messages_behind_the_last_one_are_no_lag():
    lags = []
    part = reader(
        FakeConsumer([*messages(0, 1), end_of_log(900)], high=901),
        observe_lag=lambda _partition, lag: lags.append(lag),
    )
    part.next_batch()
    assert lags == [1]


def test_closing_leaves_the_broker():
    consumer = FakeConsumer()
    part = reader(consumer)
    assert part.snapshot() is None
    part.close()
    assert consumer.closed


def test_after_catching_up_the_next_batch_waits_a_moment_for_the_commit(monkeypatch):
    monkeypatch.setattr("flows.connectors.kafka.source.PACING_S", 3600.0)
    progress = Progress(committed={2: 0})
    part = reader(FakeConsumer(messages(0, 1), messages(2), high=2), progress=progress)
    assert len(part.next_batch()) == 1
    assert list(part.next_batch()) == []
    progress.committed[2] = 2
    [batch] = part.next_batch()
    assert batch.offsets == [2]


def test_under_backlog_no_batch_waits(monkeypatch):
    monkeypatch.setattr("flows.connectors.kafka.source.PACING_S", 3600.0)
    progress = Progress(committed={2: 0})
    part = reader(FakeConsumer(messages(0, 1), messages(2), high=9), progress=progress)
    assert [len(part.next_batch()) for _ in range(2)] == [1, 1]
