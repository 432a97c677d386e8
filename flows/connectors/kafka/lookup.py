"""Ask the broker about a partition: its commit, its bounds, single messages and short ranges."""

import time
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.connectors.kafka.retry import is_passing, retried

_PROBE_S = 3.0
_WAIT_S = 0.05
_BATCH = 1000
_OPEN_MESSAGES = 10_000  # more than a transaction of the embedded run ever has
_END = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's name of its own event)
_TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001

Bounds = tuple[int, int]
"""First offset of a log, and one past its last."""


def committed(
    consumer: Consumer, topic: str, partitions: Iterable[int], limit_s: float
) -> list[TopicPartition]:
    """Return the group's commits, one per partition.

    Parameters
    ----------
    consumer
        Has no partition assigned.

    Raises
    ------
    KafkaException
        The broker refuses, or does not answer within ``limit_s``.
    """
    asked = [TopicPartition(topic, partition) for partition in partitions]

    def ask(step_s: float) -> list[TopicPartition]:
        try:
            answers: list[TopicPartition] = consumer.committed(asked, timeout=step_s)
        except KafkaException as error:
            raise _cause(consumer, error) from None
        failed = [answer for answer in answers if answer.error is not None]
        if failed:
            raise KafkaException(failed[0].error)
        return answers

    return retried(ask, limit_s)


def _cause(consumer: Consumer, error: KafkaException) -> KafkaException:
    """Return why the group does not answer: a refusal of its coordinator is told as an event."""
    events = [message.error() for message in consumer.consume(_BATCH, 0.0)]
    refused = [each for each in events if each is not None and not is_passing(each)]
    return KafkaException(refused[0]) if refused else error


def bounds(consumer: Consumer, topic: str, partition: int, limit_s: float) -> Bounds:
    """Return the partition's bounds; to a reader of committed data open transactions are beyond.

    Raises
    ------
    KafkaException
        The broker refuses, or does not answer within ``limit_s``; names the partition.
    """
    place = TopicPartition(topic, partition)
    try:
        low, high = retried(lambda s: consumer.get_watermark_offsets(place, timeout=s), limit_s)
    except KafkaException as error:
        code = error.args[0].code()
        cause = f"partition {partition} of {topic}: {error.args[0].str()}"
        raise KafkaException(KafkaError(code, cause)) from None
    return low, high


def true_ends(consumer: Consumer, topic: str, known: Mapping[int, Bounds]) -> dict[int, int]:
    """Return one past the last offset of each partition, as it is now.

    The embedded broker names the first offset of a log's last batch, plus one, as its end; to a
    reader of committed data it names 0 as long as a transaction is open. So what lies behind the
    end that it names is read, up to the first end that is met.

    Parameters
    ----------
    consumer
        Reports the end of a partition; is left without an assignment.
    known
        Bounds by partition, as the broker names them.
    """
    ends = {at: high for at, (_low, high) in known.items()}
    empty = {at: low for at, (low, high) in known.items() if low >= high}
    ends.update(_told_by_reading(consumer, topic, empty))
    places = {at: end for at, end in ends.items() if at not in empty or end > empty[at]}
    for message in _until_ends(consumer, topic, places):
        ends[_partition(message)] = max(ends[_partition(message)], (message.offset() or 0) + 1)
    return ends


def _told_by_reading(consumer: Consumer, topic: str, starts: Mapping[int, int]) -> dict[int, int]:
    """Return an end, or a place before it, of those logs that are not as empty as they seem."""
    found: dict[int, int] = {}
    for message in _until_ends(consumer, topic, starts, most=1):
        at, behind = _partition(message), (message.offset() or 0) + 1
        # The answer with the message told where the log ends, open transactions included.
        _low, high = consumer.get_watermark_offsets(TopicPartition(topic, at), cached=True)
        found[at] = max(behind, high - _OPEN_MESSAGES)
    return found


def _until_ends(
    consumer: Consumer, topic: str, starts: Mapping[int, int], most: int | None = None
) -> Iterator[Message]:
    """Yield messages of each partition up to the first end that is met, or ``most`` of each.

    A partition without an answer is given up after a while.
    """
    left = dict.fromkeys(starts, 0)
    consumer.assign([TopicPartition(topic, at, start) for at, start in starts.items()])
    deadline = time.monotonic() + _PROBE_S
    while left and time.monotonic() < deadline:
        for message in consumer.consume(_BATCH, _WAIT_S):
            at = message.partition()
            if at is None or at not in left:
                continue
            if message.error() is None:
                left[at] += 1
                yield message
            if message.error() is not None or left[at] == most:
                del left[at]
    consumer.unassign()


def _partition(message: Message) -> int:
    return message.partition() or 0


def read_range(
    consumer: Consumer, topic: str, partition: int, start: int, end: int, limit_s: float
) -> Iterator[Message]:
    """Yield the messages with offsets in [start, end), as far as the consumer may see them.

    Parameters
    ----------
    consumer
        Reports the end of a partition; is left without an assignment.
    limit_s
        The longest that the broker may deliver nothing.

    Raises
    ------
    KafkaException
        The broker refuses, or delivers nothing for ``limit_s``.
    """
    consumer.assign([TopicPartition(topic, partition, start)])
    try:
        heard = time.monotonic()
        while time.monotonic() - heard < limit_s:
            for message in consumer.consume(_BATCH, _WAIT_S):
                heard = time.monotonic()
                error, offset = message.error(), message.offset()
                if error is not None and error.code() != _END:
                    raise KafkaException(error)
                if error is not None or offset is None or offset >= end:
                    return
                yield message
                if offset == end - 1:
                    return
        cause = f"partition {partition} of {topic}: nothing was delivered for {limit_s:g} s"
        raise KafkaException(KafkaError(_TIMED_OUT, cause))
    finally:
        consumer.unassign()


def first_message(
    consumer: Consumer, topic: str, partition: int, start: int, end: int, limit_s: float
) -> Message | None:
    """Return the first message with an offset in [start, end); None where there is none.

    Raises
    ------
    KafkaException
        See :func:`read_range`.
    """
    return next(read_range(consumer, topic, partition, start, end, limit_s), None)
