"""What reading and writing a tick cost, by the flow's own reader and writer on a broker.

Two figures of CPU time: that of the calling thread, which holds the flow up, and that of the
client's threads beside it, which the machine pays for all the same.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.codec.outputs import OutputBatch
from flows.connectors.kafka.client import reader_config
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.source import PartitionReader
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.connectors.kafka.watchdog import Progress
from schemas import topics
from tests.bench.percentiles import summary_ms
from tests.support.polling import pause

BATCH = 4096
COMMIT_EVERY_S = 0.1
TRANSACTION_TIMEOUT_MS = 60_000
SILENCE_LIMIT_S = 30.0
_QUIET = {"log_level": 2}


class Cost:
    """CPU time of this thread and of the process's other threads, from the first call on."""

    def __init__(self) -> None:
        self._thread_ns = time.thread_time_ns()
        self._process_ns = time.process_time_ns()

    def us_per_tick(self, ticks: int, thread_ns: int | None = None) -> dict[str, float]:
        """Return both since the beginning, microseconds per tick.

        Parameters
        ----------
        thread_ns
            What of this thread's time counts, where it is not all.
        """
        mine_ns = time.thread_time_ns() - self._thread_ns
        others_ns = time.process_time_ns() - self._process_ns - mine_ns
        counted_ns = mine_ns if thread_ns is None else thread_ns
        return {
            "thread_us": round(counted_ns / 1000 / ticks, 4),
            "client_us": round(others_ns / 1000 / ticks, 4),
        }


def open_reader(
    config: Mapping[str, str], group: str, progress: Progress | None = None
) -> PartitionReader:
    """Return the flow's reader of ``ticks.raw``, at its beginning."""
    consumer = Consumer(reader_config({**config, **_QUIET}, group))
    consumer.assign([TopicPartition(topics.TICKS_RAW, 0, OFFSET_BEGINNING)])
    return PartitionReader(
        consumer, topics.TICKS_RAW, Start(0, 0, 0), BATCH, threading.Event(), progress=progress
    )


def open_writer(config: Mapping[str, str], group: str) -> TransactionalWriter:
    """Return the flow's writer for that partition, which has not taken it over yet."""
    return TransactionalWriter(
        Target({**config, **_QUIET}, group, topics.TICKS_RAW, 0, TRANSACTION_TIMEOUT_MS)
    )


def consume(config: Mapping[str, str], tick_count: int) -> dict[str, float]:
    """Read ``ticks.raw`` to its end; microseconds per tick."""
    reader = open_reader(config, "bench-profile")
    # Looks that find nothing are the flow's waiting, not what a tick costs.
    useful_ns = 0
    at = 0
    cost = Cost()
    heard = time.monotonic()
    while at < tick_count:
        begin = time.thread_time_ns()
        batches = reader.next_batch()
        took_ns = time.thread_time_ns() - begin
        if batches and batches[-1].values:
            useful_ns += took_ns
            at = batches[-1].next_offset
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENCE_LIMIT_S:
            message = f"the broker delivered nothing behind offset {at}"
            raise RuntimeError(message)
        else:
            pause(0.001)
    figures = cost.us_per_tick(at, useful_ns)
    reader.close()
    return figures


def produce(
    config: Mapping[str, str], outputs: Sequence[OutputBatch], group: str
) -> dict[str, Any]:
    """Write batches in transactions as the sink cuts them under backlog; microseconds per tick.

    A commit's wall time is given too: the sink's thread waits for it while the flow goes on.
    """
    writer = open_writer(config, group)
    writer.take_over()
    commits_ns: list[int] = []
    cost = Cost()
    for output in outputs:
        writer.write(output)
        if writer.age_s >= COMMIT_EVERY_S or output is outputs[-1]:
            commits_ns.append(round(writer.commit().seconds * 1e9))
    figures = cost.us_per_tick(outputs[-1].next_offset)
    summary = summary_ms(commits_ns)
    return {
        **figures,
        "commits": len(commits_ns),
        "commit_p50_ms": summary["p50_ms"],
        "commit_p99_ms": summary["p99_ms"],
    }
