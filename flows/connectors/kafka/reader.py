"""Read whole topics, for training and tools.

Delivery: each committed message once, each partition in order; nothing is committed, so every read
starts anew. Blocking: until the broker delivers, at most the silence limit.
"""

from collections.abc import Iterator

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
from flows.connectors.kafka.client import ANSWER_LIMIT_S, ClientConfig, kafka_error, unreachable
from flows.connectors.kafka.positions import committed
from flows.connectors.kafka.source import reader_config
from flows.errors import BrokerError

_BATCH = 4096
_WAIT_S = 0.1
_GROUP = "voltick-reader"  # required by the client; nothing is committed
_END = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's name of its own event)


def read_topic(
    config: ClientConfig,
    topic: str,
    from_ms: int | None = None,
    to_ms: int | None = None,
    batch_size: int = _BATCH,
    silence_limit_s: float = ANSWER_LIMIT_S,
) -> Iterator[RawBatch]:
    """Yield a topic's committed messages up to its end, each partition in order, partitions mixed.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    from_ms, to_ms
        If set, only messages whose Kafka timestamp is in [from_ms, to_ms), milliseconds.
    silence_limit_s
        How long the broker may deliver nothing before the end is reached.

    Raises
    ------
    BrokerError
        The topic does not exist, or the broker does not answer or stops delivering.
    """
    count = _require_topic(config, topic)
    consumer = Consumer(reader_config(config, _GROUP))
    try:
        starts = _starts(consumer, config, topic, count, from_ms)
        for batch in _read(consumer, topic, starts, batch_size, silence_limit_s):
            kept = _cut(batch, from_ms, to_ms)
            if kept.values:
                yield kept
    finally:
        consumer.close()


def read_tail(
    config: ClientConfig,
    topic: str,
    messages: int,
    silence_limit_s: float = ANSWER_LIMIT_S,
) -> Iterator[RawBatch]:
    """Yield about the last ``messages`` of each partition.

    Raises
    ------
    BrokerError
        See :func:`read_topic`.
    """
    count = _require_topic(config, topic)
    consumer = Consumer(reader_config(config, _GROUP))
    try:
        starts = []
        for partition in range(count):
            at = TopicPartition(topic, partition)
            try:
                low, high = consumer.get_watermark_offsets(at, timeout=ANSWER_LIMIT_S)
            except KafkaException as error:
                raise unreachable(config, kafka_error(error).str()) from None
            starts.append(TopicPartition(topic, partition, max(low, high - messages)))
        yield from _read(consumer, topic, starts, _BATCH, silence_limit_s)
    finally:
        consumer.close()


def committed_offsets(config: ClientConfig, group: str, topic: str) -> dict[int, int]:
    """Return a group's committed offset of each partition; 0 where it has committed nothing.

    Raises
    ------
    BrokerError
        The topic does not exist, or the broker does not answer.
    """
    count = _require_topic(config, topic)
    # A reader of committed data gets an offset only while no transaction is open on the partition,
    # which under load is hardly ever.
    options = {**reader_config(config, group), "isolation.level": "read_uncommitted"}
    consumer = Consumer(options)
    try:
        answers = committed(consumer, topic, range(count), ANSWER_LIMIT_S)
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None
    finally:
        consumer.close()
    return {answer.partition: max(answer.offset, 0) for answer in answers}


def _require_topic(config: ClientConfig, topic: str) -> int:
    count = partition_counts(config, [topic])[topic]
    if count == 0:
        message = f"topic {topic} does not exist at {config.get('bootstrap.servers')}"
        raise BrokerError(message)
    return count


def _read(
    consumer: Consumer,
    topic: str,
    starts: list[TopicPartition],
    batch_size: int,
    silence_limit_s: float,
) -> Iterator[RawBatch]:
    """Yield batches from the starts on until every partition has reached its end once."""
    open_partitions = {start.partition for start in starts}
    consumer.assign(starts)
    silent_s = 0.0
    while open_partitions:
        by_partition, ended = _next(consumer, batch_size, topic)
        silent_s = 0.0 if by_partition or ended else silent_s + _WAIT_S
        if silent_s > silence_limit_s:
            message = f"topic {topic}: the broker delivered nothing for {silence_limit_s:g} s"
            raise BrokerError(message)
        open_partitions -= ended
        for partition, found in by_partition.items():
            yield RawBatch(
                partition=partition,
                values=[value for _offset, _at_ms, value in found],
                offsets=[offset for offset, _at_ms, _value in found],
                timestamps_ms=[at_ms for _offset, at_ms, _value in found],
                next_offset=found[-1][0] + 1,
            )


Found = list[tuple[int, int, bytes]]


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
        else:
            text = f"topic {topic} cannot be read: {error.str()}"
            raise BrokerError(text)
    return by_partition, ended


def _starts(
    consumer: Consumer, config: ClientConfig, topic: str, count: int, from_ms: int | None
) -> list[TopicPartition]:
    if from_ms is None:
        return [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(count)]
    asked = [TopicPartition(topic, p, from_ms) for p in range(count)]
    try:
        starts = consumer.offsets_for_times(asked, timeout=ANSWER_LIMIT_S)
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None
    return [s for s in starts if s.offset != OFFSET_END]


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
