"""Decide where each partition starts, from its committed offset and what its log still holds."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    kafka_error,
    unreachable,
)
from flows.connectors.kafka.retry import retried
from flows.errors import LogTrimmedError

_PROBE_S = 3.0
_ACCEPT = "set VOLTICK_ACCEPT_STATE_LOSS=true to go on"


class CommitMetadata(msgspec.Struct, frozen=True):
    """Metadata of a commit: the oldest offset that the state at the commit depends on."""

    rebuild_from: int


@dataclass(frozen=True, slots=True)
class Position:
    """The state of a partition at the broker.

    Attributes
    ----------
    committed
        The group's committed offset; None before the first commit.
    rebuild_from
        From the commit's metadata; None where the broker kept none.
    low, high
        First offset of the log, and one past its last.
    """

    partition: int
    committed: int | None
    rebuild_from: int | None
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Start:
    """The offset to read from, and the offset from which on outputs are wanted.

    ``reset`` is true where the committed offset has to be set to ``emit_from`` first.
    """

    partition: int
    read_from: int
    emit_from: int
    reset: bool = False


def encode_metadata(rebuild_from: int) -> str:
    """Return the text committed beside an offset."""
    return msgspec.json.encode(CommitMetadata(rebuild_from)).decode()


def decode_metadata(text: str | None) -> int | None:
    """Return ``rebuild_from``, None where there is no metadata or it is not ours."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=CommitMetadata).rebuild_from
    except msgspec.DecodeError:
        return None


def plan(position: Position, topic: str, *, accept_state_loss: bool) -> Start:
    """Decide where a partition starts.

    Without a commit everything in the log is new. With one, the state is rebuilt from
    ``rebuild_from``, or from the beginning of the log where that is not known.

    Raises
    ------
    LogTrimmedError
        The log no longer holds what is needed, unless ``accept_state_loss``.
    """
    where = f"partition {position.partition} of {topic}"
    low, high, committed = position.low, position.high, position.committed
    if committed is None:
        return Start(position.partition, low, low)
    if committed > high:
        if not accept_state_loss:
            message = (
                f"{where}: the committed offset {committed} is beyond the end of the log {high}, so"
                f" the topic was recreated; {_ACCEPT} from its beginning (offset {low}), with"
                " empty state, or use another VOLTICK_GROUP"
            )
            raise LogTrimmedError(message)
        return Start(position.partition, low, low, reset=True)
    if committed < low:
        if not accept_state_loss:
            message = (
                f"{where}: the committed offset {committed} is below the log's first offset {low}:"
                f" {low - committed} messages were deleted before they were scored; {_ACCEPT} from"
                f" offset {low}, with empty state, and lengthen the topic's retention"
            )
            raise LogTrimmedError(message)
        return Start(position.partition, low, low, reset=True)
    wanted = low if position.rebuild_from is None else min(position.rebuild_from, committed)
    if wanted < low:
        if not accept_state_loss:
            message = (
                f"{where}: the state depends on offset {wanted}, but the log begins at {low}:"
                f" {low - wanted} messages of state were deleted; {_ACCEPT} with what is left, and"
                " lengthen the topic's retention to more than a day"
            )
            raise LogTrimmedError(message)
        wanted = low
    return Start(position.partition, wanted, committed)


def plan_all(
    config: ClientConfig,
    group: str,
    topic: str,
    partitions: int,
    *,
    accept_state_loss: bool,
    timeout_s: float = ANSWER_LIMIT_S,
) -> list[Start]:
    """Ask the broker and decide for every partition; set commits back where state loss is accepted.

    Raises
    ------
    BrokerError
        The broker does not answer in time.
    LogTrimmedError
        See :func:`plan`.
    """
    # Uncommitted: an owner that died in a transaction would otherwise hide the committed offset
    # until the transaction ends. The sink asks again once it has fenced that owner.
    options = client_config(
        config, group_id=group, enable_auto_commit=False, isolation_level="read_uncommitted"
    )
    consumer = Consumer(options)
    try:
        positions = _positions(consumer, config, topic, range(partitions), timeout_s)
        positions = [_with_true_end(config, group, topic, position) for position in positions]
        starts = [plan(each, topic, accept_state_loss=accept_state_loss) for each in positions]
        resets = [start for start in starts if start.reset]
        if resets:
            _commit(consumer, config, topic, resets, timeout_s)
    finally:
        consumer.close()
    return starts


def committed(
    consumer: Consumer, topic: str, partitions: Iterable[int], limit_s: float
) -> list[TopicPartition]:
    """Return the group's commits, one per partition.

    Raises
    ------
    KafkaException
        The broker refuses, or does not answer within ``limit_s``.
    """
    asked = [TopicPartition(topic, partition) for partition in partitions]

    def ask(step_s: float) -> list[TopicPartition]:
        answers: list[TopicPartition] = consumer.committed(asked, timeout=step_s)
        failed = [answer for answer in answers if answer.error is not None]
        if failed:
            raise KafkaException(failed[0].error)
        return answers

    return retried(ask, limit_s)


def _positions(
    consumer: Consumer, config: ClientConfig, topic: str, partitions: range, timeout_s: float
) -> list[Position]:
    try:
        answers = committed(consumer, topic, partitions, timeout_s)
        positions = []
        for answer in answers:
            low, high = _watermarks(consumer, topic, answer.partition, timeout_s)
            known = answer.offset != OFFSET_INVALID
            positions.append(
                Position(
                    partition=answer.partition,
                    committed=answer.offset if known else None,
                    rebuild_from=decode_metadata(answer.metadata) if known else None,
                    low=low,
                    high=high,
                )
            )
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None
    return positions


def _watermarks(consumer: Consumer, topic: str, partition: int, limit_s: float) -> tuple[int, int]:
    place = TopicPartition(topic, partition)
    low, high = retried(lambda s: consumer.get_watermark_offsets(place, timeout=s), limit_s)
    return low, high


def _with_true_end(config: ClientConfig, group: str, topic: str, position: Position) -> Position:
    """Return the position with a true end of log.

    The embedded broker names the last batch's first offset plus one as the end. Where the
    committed offset seems to lie beyond the end, see whether the message before it exists.
    """
    if position.committed is None or position.committed <= position.high:
        return position
    options = client_config(
        config,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="error",
        fetch_wait_max_ms=50,
    )
    consumer = Consumer(options)
    try:
        consumer.assign([TopicPartition(topic, position.partition, position.committed - 1)])
        found = consumer.consume(1, _PROBE_S)
    finally:
        consumer.close()
    if not found or found[0].error() is not None:
        return position
    return Position(
        partition=position.partition,
        committed=position.committed,
        rebuild_from=position.rebuild_from,
        low=position.low,
        high=position.committed,
    )


def _commit(
    consumer: Consumer, config: ClientConfig, topic: str, starts: list[Start], timeout_s: float
) -> None:
    offsets = [
        TopicPartition(topic, s.partition, s.emit_from, encode_metadata(s.read_from))
        for s in starts
    ]
    try:
        retried(lambda _s: consumer.commit(offsets=offsets, asynchronous=False), timeout_s)
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None
