"""Wait until a run's last tick is committed, then count the run's outputs."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from flows.connectors.kafka.client import ClientConfig, client_config, kafka_error
from flows.connectors.kafka.retry import is_passing, retried
from flows.errors import BrokerError
from flows.local.summary import DeadLetterLine, PredictionLine, Tally
from schemas import topics
from schemas.decoding import decode_or_none

_BATCH = 10_000
_POLL_S = 0.1
_REQUEST_S = 10.0
_COMMITTED_S = 2.0
_STALL_S = 120.0
_QUIET_S = 0.5


def end_offsets(config: ClientConfig, names: tuple[str, ...]) -> dict[tuple[str, int], int]:
    """Return (topic, partition) -> the offset the next message gets, for topics that exist.

    The embedded broker understates it; what is read from there is therefore filtered by lineage.

    Raises
    ------
    BrokerError
        The broker does not answer.
    """
    with _consumer(config, "voltick-local-output-count") as consumer, _broker_errors():
        known = consumer.list_topics(timeout=_REQUEST_S).topics
        return {
            (name, partition): _high(consumer, TopicPartition(name, partition))
            for name in names
            if name in known
            for partition in known[name].partitions
        }


def wait_committed(
    config: ClientConfig,
    group: str,
    wanted: Mapping[int, int],
    check: Callable[[int], None],
) -> None:
    """Wait until a group has committed all of ``wanted`` (partition -> offset) on ``ticks.raw``.

    Parameters
    ----------
    check
        Called on every round with how many messages are left; raises where nothing more will come.

    Raises
    ------
    BrokerError
        No offset moved for two minutes.
    """
    asked = [TopicPartition(topics.TICKS_RAW, partition) for partition in wanted]
    least: int | None = None
    moved = time.monotonic()
    with _consumer(config, group) as consumer:
        while wanted:
            left = _left(consumer, asked, wanted)
            if left == 0:
                return
            if left is not None and (least is None or left < least):
                least, moved = left, time.monotonic()
            elif time.monotonic() - moved > _STALL_S:
                message = f"the pipeline has not moved for {_STALL_S:g} s, {least} ticks to go"
                raise BrokerError(message)
            check(sum(wanted.values()) if least is None else least)
            time.sleep(_POLL_S / 2)


def read_outputs(config: ClientConfig, start: Mapping[tuple[str, int], int], tally: Tally) -> None:
    """Count predictions and dead letters, read committed; foreign messages are none of them.

    Raises
    ------
    BrokerError
        The broker fails.
    """
    prediction = msgspec.json.Decoder(PredictionLine).decode
    dead_letter = msgspec.json.Decoder(DeadLetterLine).decode
    assigned = [
        TopicPartition(name, partition, offset or OFFSET_BEGINNING)
        for (name, partition), offset in start.items()
        if name in (topics.PREDICTIONS, topics.DEAD_LETTERS)
    ]
    with _consumer(config, "voltick-local-output-count") as consumer, _broker_errors():
        consumer.assign(assigned)
        for message in _until_end(consumer, len(assigned)):
            value = message.value()
            if message.topic() == topics.PREDICTIONS:
                line = decode_or_none(prediction, value)
                if line is not None:
                    tally.add_prediction(line)
            else:
                letter = decode_or_none(dead_letter, value)
                if letter is not None:
                    tally.add_dead_letter(letter, topics.TICKS_RAW)


def _until_end(consumer: Consumer, partitions: int) -> Iterator[Message]:
    """Yield messages until every partition said it is at its end and nothing more came."""
    at_end: set[tuple[str | None, int | None]] = set()
    quiet_since = time.monotonic()
    while len(at_end) < partitions or time.monotonic() - quiet_since < _QUIET_S:
        for message in consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            place = (message.topic(), message.partition())
            if error is None:
                at_end.discard(place)
                quiet_since = time.monotonic()
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                at_end.add(place)
            elif not is_passing(error):
                raise KafkaException(error)


def _high(consumer: Consumer, place: TopicPartition) -> int:
    """Return one past the last offset; a topic made a moment ago may still lack a leader."""
    answer = retried(lambda s: consumer.get_watermark_offsets(place, timeout=s), _REQUEST_S)
    return int(answer[1])


def _left(consumer: Consumer, asked: list[TopicPartition], wanted: Mapping[int, int]) -> int | None:
    """Return how many messages are not committed yet; None while the broker cannot tell."""
    try:
        committed = consumer.committed(asked, timeout=_COMMITTED_S)
    except KafkaException as error:
        if is_passing(kafka_error(error)):  # a fresh broker has no coordinator yet
            return None
        raise
    return sum(max(0, wanted[p.partition] - max(0, p.offset)) for p in committed)


@contextmanager
def _consumer(config: ClientConfig, group: str) -> Iterator[Consumer]:
    options = client_config(
        config,
        group_id=group,
        enable_auto_commit=False,
        enable_partition_eof=True,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_wait_max_ms=20,
    )
    consumer = Consumer(options)
    with closing(consumer):
        yield consumer


@contextmanager
def _broker_errors() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        message = f"the broker fails while the outputs are read: {kafka_error(error).str()}"
        raise BrokerError(message) from error
