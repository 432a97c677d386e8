"""Read whole topics, for training and tools.

Delivery: each committed message once, each partition in order; nothing is committed, so every read
starts anew. Blocking: until the broker delivers, at most the silence limit.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from flows.codec.batch import RawBatch
from flows.connectors.kafka.admin import partition_counts
from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    failed_request,
    reader_config,
    uncommitted_config,
)
from flows.connectors.kafka.lookup import Bounds, bounds, committed, true_ends
from flows.errors import BrokerError

_BATCH = 4096
_WAIT_S = 0.1
_GROUP = "voltick-reader"  # required by the client; nothing is committed
Found = list[tuple[int, int, bytes]]
"""Offsets, timestamps in milliseconds and payloads of one partition."""

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's name of its own event)
NO_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED
"""Who assigns partitions and commits nothing needs no group, and so no permission on one."""


def read_topic(
    config: ClientConfig,
    topic: str,
    from_ms: int | None = None,
    to_ms: int | None = None,
    batch_size: int = _BATCH,
    silence_limit_s: float = ANSWER_LIMIT_S,
    *,
    partition: int | None = None,
) -> Iterator[RawBatch]:
    """Yield a topic's committed messages, each partition in order, partitions mixed.

    What is written after the call began is left out, so that reading ends while others write.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    from_ms, to_ms
        If set, only messages whose Kafka timestamp is in [from_ms, to_ms), milliseconds.
    silence_limit_s
        How long the broker may deliver nothing before the end is reached.
    partition
        If set, this one alone.

    Raises
    ------
    BrokerError
        The topic does not exist, or the broker does not answer or stops delivering.
    """
    with _reading(config, topic) as (consumer, ends):
        if partition is not None:
            ends = {partition: ends[partition]} if partition in ends else {}
        starts = _starts(consumer, topic, ends, from_ms)
        for batch in _read(consumer, topic, starts, ends, batch_size, silence_limit_s):
            kept = _cut(batch, from_ms, to_ms)
            if kept.values:
                yield kept


def read_tail(
    config: ClientConfig,
    topic: str,
    messages: int,
    silence_limit_s: float = ANSWER_LIMIT_S,
) -> Iterator[RawBatch]:
    """Yield about the last ``messages`` of each partition, up to the topic's present end.

    Raises
    ------
    BrokerError
        See :func:`read_topic`.
    """
    with _reading(config, topic) as (consumer, ends):
        starts = [
            TopicPartition(topic, partition, max(low, high - messages))
            for partition, (low, high) in ends.items()
        ]
        yield from _read(consumer, topic, starts, ends, _BATCH, silence_limit_s)


def follow_topic(
    config: ClientConfig,
    topic: str,
    seconds: float,
    *,
    beginning: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[RawBatch]:
    """Yield a topic's committed messages as they come, for some seconds.

    Parameters
    ----------
    beginning
        Whether to read first what is there already.
    clock
        Monotonic seconds.

    Raises
    ------
    BrokerError
        See :func:`read_topic`.
    """
    with _reading(config, topic) as (consumer, ends):
        consumer.assign(
            [
                TopicPartition(topic, at, low if beginning else end)
                for at, (low, end) in ends.items()
            ]
        )
        until_s = clock() + seconds
        while clock() < until_s:
            by_partition, _ended = _next(consumer, _BATCH, topic)
            for partition, found in by_partition.items():
                yield _batch(partition, found)


def group_lags(
    config: ClientConfig, groups: Sequence[str], topic: str
) -> dict[str, dict[int, int]]:
    """Return how many offsets each group's commits are behind the end, by partition.

    Groups and partitions without a commit are left out. Offsets count, not messages: some of them
    are Kafka's own marks.

    Raises
    ------
    BrokerError
        See :func:`read_topic`.
    """
    found: dict[str, dict[int, int]] = {}
    with _reading(config, topic) as (_consumer, ends):
        for group in groups:
            positions = _committed(config, group, topic, len(ends))
            behind = {
                each.partition: max(ends[each.partition][1] - each.offset, 0)
                for each in positions
                if each.offset >= 0
            }
            if behind:
                found[group] = behind
    return found


def committed_offsets(config: ClientConfig, group: str, topic: str) -> dict[int, int]:
    """Return a group's committed offset of each partition; 0 where it has committed nothing.

    Raises
    ------
    BrokerError
        The topic does not exist, or the broker does not answer.
    """
    answers = _committed(config, group, topic, _require_topic(config, topic))
    return {answer.partition: max(answer.offset, 0) for answer in answers}


def _committed(config: ClientConfig, group: str, topic: str, count: int) -> list[TopicPartition]:
    # A reader of committed data gets an offset only while no transaction is open on the partition,
    # which under load is hardly ever.
    consumer = Consumer(uncommitted_config(config, group))
    try:
        return committed(consumer, topic, range(count), ANSWER_LIMIT_S)
    except KafkaException as error:
        what = f"read the committed offsets of group {group}"
        raise failed_request(config, what, error) from None
    finally:
        consumer.close()


def _require_topic(config: ClientConfig, topic: str) -> int:
    count = partition_counts(config, [topic])[topic]
    if count == 0:
        message = f"topic {topic} does not exist at {config.get('bootstrap.servers')}"
        raise BrokerError(message)
    return count


@contextmanager
def _reading(config: ClientConfig, topic: str) -> Iterator[tuple[Consumer, dict[int, Bounds]]]:
    """Open a consumer of committed data, and find where each partition begins and ends now."""
    count = _require_topic(config, topic)
    consumer = Consumer(reader_config(config, _GROUP))
    try:
        known = {at: bounds(consumer, topic, at, ANSWER_LIMIT_S) for at in range(count)}
        ends = true_ends(consumer, topic, known)
        yield consumer, {at: (low, ends[at]) for at, (low, _high) in known.items()}
    except KafkaException as error:
        raise failed_request(config, f"read {topic}", error) from None
    finally:
        consumer.close()


def _read(
    consumer: Consumer,
    topic: str,
    starts: list[TopicPartition],
    ends: Mapping[int, Bounds],
    batch_size: int,
    silence_limit_s: float,
) -> Iterator[RawBatch]:
    """Yield batches from the starts on, each partition up to its end."""
    starts = [start for start in starts if ends[start.partition][0] < ends[start.partition][1]]
    left = {start.partition for start in starts}
    consumer.assign(starts)
    silent_s = 0.0
    while left:
        by_partition, ended = _next(consumer, batch_size, topic)
        silent_s = 0.0 if by_partition or ended else silent_s + _WAIT_S
        if silent_s > silence_limit_s:
            message = f"topic {topic}: the broker delivered nothing for {silence_limit_s:g} s"
            raise BrokerError(message)
        for partition, found in by_partition.items():
            end = ends[partition][1]
            if found[-1][0] >= end - 1:
                ended.add(partition)
            kept = [each for each in found if each[0] < end] if partition in left else []
            if kept:
                yield _batch(partition, kept)
        over = ended & left
        if over:
            left -= over
            consumer.incremental_unassign([TopicPartition(topic, each) for each in sorted(over)])


def _batch(partition: int, found: Found) -> RawBatch:
    return RawBatch(
        partition=partition,
        values=[value for _offset, _at_ms, value in found],
        offsets=[offset for offset, _at_ms, _value in found],
        timestamps_ms=[at_ms for _offset, at_ms, _value in found],
        next_offset=found[-1][0] + 1,
    )


def _next(consumer: Consumer, batch_size: int, topic: str) -> tuple[dict[int, Found], set[int]]:
    """Return offsets, timestamps and payloads by partition, and which partitions have ended."""
    by_partition: dict[int, Found] = {}
    ended: set[int] = set()
    for message in consumer.consume(batch_size, _WAIT_S):
        error = message.error()
        if error is None:
            entry = (message.offset() or 0, message.timestamp()[1], message.value() or b"")
            by_partition.setdefault(message.partition() or 0, []).append(entry)
        elif error.code() == _END:
            ended.add(message.partition() or 0)
        elif error.code() != NO_GROUP:
            text = f"topic {topic} cannot be read: {error.str()}"
            raise BrokerError(text)
    return by_partition, ended


def _starts(
    consumer: Consumer, topic: str, ends: Mapping[int, Bounds], from_ms: int | None
) -> list[TopicPartition]:
    if from_ms is None:
        return [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends]
    asked = [TopicPartition(topic, partition, from_ms) for partition in ends]
    found = consumer.offsets_for_times(asked, timeout=ANSWER_LIMIT_S)
    return [start for start in found if start.offset != OFFSET_END]


def _cut(batch: RawBatch, from_ms: int | None, to_ms: int | None) -> RawBatch:
    if from_ms is None and to_ms is None:
        return batch
    kept = [
        at
        for at, at_ms in enumerate(batch.timestamps_ms)
        if (from_ms is None or at_ms >= from_ms) and (to_ms is None or at_ms < to_ms)
    ]
    return RawBatch(
        partition=batch.partition,
        values=[batch.values[at] for at in kept],
        offsets=[batch.offsets[at] for at in kept],
        timestamps_ms=[batch.timestamps_ms[at] for at in kept],
        next_offset=batch.next_offset,
    )
