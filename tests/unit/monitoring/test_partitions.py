"""Gauges by partition, while partitions come and go."""

import time

from prometheus_client import generate_latest

from flows.codec.outputs import Latest
from flows.monitoring.archive_metrics import ArchiveMetrics
from flows.monitoring.metrics import PipelineMetrics


def lines(registry, *names: str) -> set[str]:
    text = generate_latest(registry).decode()
    return {line for line in text.splitlines() if line.startswith(names)}


def test_a_partition_that_is_given_up_is_no_longer_shown() -> None:
    metrics = PipelineMetrics()
    names = ("voltick_lag_messages", "voltick_committed_offset")
    for partition in (0, 1):
        metrics.partitions.observe_lag(partition, 7)
        metrics.partitions.show(metrics.committed, partition, 100)
    metrics.partitions.observe_lag(1, None)
    assert lines(metrics.registry, *names) == {
        'voltick_lag_messages{partition="0"} 7.0',
        'voltick_committed_offset{partition="0"} 100.0',
    }


def test_what_is_committed_after_a_partition_was_given_up_is_not_shown() -> None:
    metrics = PipelineMetrics()
    metrics.partitions.observe_lag(3, 0)
    metrics.partitions.observe_lag(3, None)
    metrics.partitions.show(metrics.committed, 3, 100)
    metrics.partitions.observe_lag(3, None)
    assert lines(metrics.registry, "voltick_committed_offset") == set()
    metrics.partitions.observe_lag(3, 2)
    metrics.partitions.show(metrics.committed, 3, 101)
    assert lines(metrics.registry, "voltick_committed_offset") == {
        'voltick_committed_offset{partition="3"} 101.0'
    }


def test_symbols_leave_the_metrics_with_their_partition() -> None:
    metrics = PipelineMetrics()

    def note(partition: int, symbol: str) -> None:
        at_ns = time.time_ns()
        metrics.note_latest(partition, [Latest(symbol, 1, at_ns, b"", partition, at_ns)])

    def symbols() -> set[str]:
        [family] = metrics.freshness.collect()
        return {sample.labels["symbol"] for sample in family.samples}

    for partition, symbol in ((0, "A"), (1, "B")):
        metrics.partitions.observe_lag(partition, 0)
        note(partition, symbol)
    assert symbols() == {"A", "B"}
    metrics.partitions.observe_lag(1, None)
    note(1, "B")  # its last commit was still under way
    assert symbols() == {"A"}
    metrics.partitions.observe_lag(1, 0)
    note(1, "B")
    assert symbols() == {"A", "B"}


def test_a_partition_of_one_topic_is_not_that_of_another() -> None:
    metrics = ArchiveMetrics()
    ticks, candles = metrics.partitions("ticks.raw"), metrics.partitions("candles")
    ticks.observe_lag(0, 1)
    candles.observe_lag(0, 2)
    ticks.observe_lag(0, None)
    assert lines(metrics.registry, "voltick_archive_lag_messages") == {
        'voltick_archive_lag_messages{partition="0",topic="candles"} 2.0'
    }


def test_what_is_followed_is_shown_as_it_is_when_asked() -> None:
    metrics = PipelineMetrics()
    assert lines(metrics.registry, "voltick_standby_offset") == set()
    metrics.standby.read = lambda: [(3, 120, 7)]
    assert lines(metrics.registry, "voltick_standby_offset", "voltick_standby_lag_messages") == {
        'voltick_standby_offset{partition="3"} 120.0',
        'voltick_standby_lag_messages{partition="3"} 7.0',
    }
    metrics.standby.read = list
    assert lines(metrics.registry, "voltick_standby_offset") == set()
