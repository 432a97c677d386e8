"""Read a Kafka topic in batches, each partition from its committed offset.

Delivery: every message from the planned start on, in order, once per run of the process.
Blocking: never; a poll returns what has been fetched already.
Resumes: at the committed offset, which the sink alone moves, with the messages before it that the
state depends on read once more and marked. The engine's own recovery is not used.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from flows.codec.batch import RawBatch, partition_key
from flows.connectors.kafka.client import ClientConfig, reader_config
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.watchdog import Progress
from flows.errors import BrokerError, LogTrimmedError

LagObserver = Callable[[int, int | None], None]
"""Called with a partition and its lag in messages; None once the partition is given up."""

# Once caught up, time between two batches of a partition while the first is not committed yet. What
# comes meanwhile could not be written earlier anyway: as one batch it costs the time of one, and it
# is scored while the broker finishes the commit.
PACING_S = 0.02

# The first result of a start does not wait until a whole batch is computed, by kernels that may not
# be compiled yet.
FIRST_BATCH = 256

Reader = StatefulSourcePartition[RawBatch, None]
# Opens a reader at a start, for an epoch.
Read = Callable[[Start, int], Reader]

_OUT_OF_LOG = {
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 (librdkafka's names of its own error codes)
    KafkaError.OFFSET_OUT_OF_RANGE,
}
_END = KafkaError._PARTITION_EOF  # noqa: SLF001


class CommittedSource(FixedPartitionedSource[RawBatch, None]):
    """A topic as a Bytewax source, one engine partition per Kafka partition.

    Each message is delivered once per run, in the partition's order, from its planned start on; the
    sink's commits decide where the next run starts. Building a partition and reading it never wait
    for the broker.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    group
        Consumer group; nothing joins it, it only names the commits.
    starts
        One per partition, from :func:`flows.connectors.kafka.planning.plan_all`.
    batch_size
        Most messages in a batch; the first of a partition has at most ``FIRST_BATCH``.
    stop
        When set, every partition ends after its current batch, and with them the dataflow.
    observe_lag
        See :data:`LagObserver`; called after each batch, and when a partition is closed.
    progress
        Kept up to date for the watchdog.
    rest_s
        Time between two looks at a partition that had nothing new; 0: the engine's own.
    """

    def __init__(
        self,
        config: ClientConfig,
        group: str,
        topic: str,
        starts: Sequence[Start],
        batch_size: int,
        stop: threading.Event | None = None,
        observe_lag: LagObserver | None = None,
        progress: Progress | None = None,
        rest_s: float = 0.0,
    ) -> None:
        self._config = config
        self._group = group
        self._topic = topic
        self._starts = {partition_key(start.partition): start for start in starts}
        self._batch_size = batch_size
        self._stop = stop or threading.Event()
        self._observe_lag = observe_lag
        self._progress = progress or Progress()
        self._rest_s = rest_s

    def list_parts(self) -> list[str]:
        """Return the names of all partitions: every process can read each of them."""
        return list(self._starts)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> StatefulSourcePartition[RawBatch, None]:
        """Assign one partition at its planned start; the engine's recovery state is not used."""
        del step_id, resume_state
        start = self._starts[for_part]
        consumer = Consumer(reader_config(self._config, self._group))
        consumer.assign([TopicPartition(self._topic, start.partition, start.read_from)])
        self._progress.position[start.partition] = start.read_from
        self._progress.committed.setdefault(start.partition, start.emit_from)
        return PartitionReader(
            consumer,
            self._topic,
            start,
            self._batch_size,
            self._stop,
            self._observe_lag,
            self._progress,
            self._rest_s,
        )


class PartitionReader(StatefulSourcePartition[RawBatch, None]):
    """One partition's consumer.

    Never blocks, and ends only once ``stop`` is set. A broker that is away gives nothing to read
    until it is back; the watchdog limits how long.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        start: Start,
        batch_size: int,
        stop: threading.Event,
        observe_lag: LagObserver | None = None,
        progress: Progress | None = None,
        rest_s: float = 0.0,
        epoch: int = 0,
    ) -> None:
        self._epoch = epoch
        self._consumer = consumer
        self._topic = topic
        self._start = start
        self._at = TopicPartition(topic, start.partition)
        self._batch_size = batch_size
        self._stop = stop
        self._observe_lag = observe_lag
        self._progress = progress or Progress()
        self._next_offset = start.read_from
        self._said_caught_up = True
        self._next_look = 0.0
        self._rest = timedelta(seconds=rest_s)
        self._awake: datetime | None = None

    def next_batch(self) -> list[RawBatch]:
        """Return what has been fetched: none, one, or at the end of a rebuild two batches.

        Raises
        ------
        StopIteration
            The flow was told to stop.
        LogTrimmedError
            The log was trimmed faster than it was read.
        BrokerError
            The broker refuses to deliver.
        """
        if self._stop.is_set():
            raise StopIteration
        if self._said_caught_up and self._is_too_soon():
            return []
        messages: list[Any] = self._consumer.consume(self._most(), 0)
        self._awake = None if messages or not self._rest else datetime.now(UTC) + self._rest
        if not messages:
            return []
        ended = False
        if any(map(Message.error, messages)):
            messages, ended = self._without_events(messages)
        if not messages:
            return self._at_end() if ended else []
        offsets = _offsets(messages)
        values = _values(messages)
        timestamps_ms = [at_ms for _kind, at_ms in map(Message.timestamp, messages)]
        self._next_offset = offsets[-1] + 1
        self._progress.taken[self._start.partition] = self._next_offset
        if not ended:
            self._progress.position[self._start.partition] = self._next_offset
        high = self._tell_lag()
        caught_up = ended or 0 <= high <= self._next_offset
        self._said_caught_up = caught_up
        self._next_look = time.monotonic() + PACING_S
        return self._batches(values, offsets, timestamps_ms, caught_up=caught_up)

    def next_awake(self) -> datetime | None:
        """Return when to look again; None for at once."""
        return self._awake

    def snapshot(self) -> None:
        """Return no state: the committed offset decides where to continue."""
        return

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
        if self._observe_lag is not None:
            self._observe_lag(self._start.partition, None)

    def _most(self) -> int:
        """Return how many messages the next batch may have."""
        is_first = self._next_offset == self._start.read_from
        return min(self._batch_size, FIRST_BATCH) if is_first else self._batch_size

    def _is_too_soon(self) -> bool:
        """Tell whether a batch now would only wait for the commit of the one before."""
        partition = self._start.partition
        taken = self._progress.taken.get(partition, 0)
        waiting = self._progress.committed.get(partition, taken) < taken
        return waiting and time.monotonic() < self._next_look

    def _batches(
        self, values: list[bytes], offsets: list[int], timestamps_ms: list[int], *, caught_up: bool
    ) -> list[RawBatch]:
        """Cut at the committed offset: messages before it only rebuild state."""
        border = self._start.emit_from
        if offsets[0] >= border or offsets[-1] < border:
            emit = offsets[0] >= border
            return [self._batch(values, offsets, timestamps_ms, emit=emit, caught_up=caught_up)]
        at = next(at for at, offset in enumerate(offsets) if offset >= border)
        return [
            self._batch(values[:at], offsets[:at], timestamps_ms[:at], emit=False, caught_up=False),
            self._batch(
                values[at:], offsets[at:], timestamps_ms[at:], emit=True, caught_up=caught_up
            ),
        ]

    def _batch(
        self,
        values: list[bytes],
        offsets: list[int],
        timestamps_ms: list[int],
        *,
        emit: bool,
        caught_up: bool,
    ) -> RawBatch:
        return RawBatch(
            partition=self._start.partition,
            values=values,
            offsets=offsets,
            timestamps_ms=timestamps_ms,
            next_offset=offsets[-1] + 1,
            emit=emit,
            caught_up=caught_up,
            epoch=self._epoch,
        )

    def _tell_lag(self) -> int:
        """Tell how far the log's end is ahead of what was read; return the end.

        Behind the last message there may be some of aborted transactions, and the marks of others.
        """
        # Cached, so it costs no request; -1001 until the first answer.
        _low, high = self._consumer.get_watermark_offsets(self._at, cached=True)
        if self._observe_lag is not None:
            position = self._progress.position[self._start.partition]
            self._observe_lag(self._start.partition, max(high - position, 0))
        return high

    def _at_end(self) -> list[RawBatch]:
        self._tell_lag()
        return self._idle()

    def _idle(self) -> list[RawBatch]:
        """Return one empty batch at the log's end, so that the sink commits what is open."""
        if self._said_caught_up:
            return []
        self._said_caught_up = True
        return [
            RawBatch(
                partition=self._start.partition,
                values=[],
                offsets=[],
                timestamps_ms=[],
                next_offset=self._next_offset,
                emit=self._next_offset > self._start.emit_from,
                epoch=self._epoch,
            )
        ]

    def _without_events(self, messages: list[Any]) -> tuple[list[Any], bool]:
        """Return the messages proper, and whether the log's end is reached after them."""
        kept: list[Any] = []
        ended = False
        for message in messages:
            error = message.error()
            if error is None:
                kept.append(message)
                ended = False
            elif error.code() == _END:
                ended = True
                self._progress.position[self._start.partition] = message.offset()
            else:
                self._refuse(error)
        return kept, ended

    def _refuse(self, error: KafkaError) -> None:
        where = f"partition {self._start.partition} of {self._topic}"
        if error.code() in _OUT_OF_LOG:
            text = (
                f"{where}: offset {self._next_offset} is no longer in the log ({error.str()}); it"
                " was trimmed or recreated while it was read: start again to see what is lost"
            )
            raise LogTrimmedError(text)
        text = f"{where} cannot be read at offset {self._next_offset}: {error.str()}"
        raise BrokerError(text)


def _offsets(messages: list[Any]) -> list[int]:
    """Return the offsets, which rise: without a gap they are told by their ends."""
    first, last = messages[0].offset(), messages[-1].offset()
    if last - first + 1 == len(messages):
        return list(range(first, last + 1))
    offsets: list[Any] = list(map(Message.offset, messages))
    return offsets


def _values(messages: list[Any]) -> list[bytes]:
    """Return the payloads, empty for a message without one."""
    values: list[Any] = list(map(Message.value, messages))
    return values if all(values) else [value or b"" for value in values]


def close_in_background(reader: Reader) -> None:
    """Close a reader without waiting for its client to leave the broker."""
    threading.Thread(target=reader.close, name="close-reader", daemon=True).start()
