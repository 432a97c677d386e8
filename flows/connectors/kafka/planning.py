"""Plan a run: ask the broker about every partition, then decide where each of them starts.

Nothing is written here. A start that differs from the committed offset is committed by the sink,
after it has fenced every earlier owner of the partition.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.admin import (
    commits_of_other_groups,
    describe_topic,
    newest_timestamp_ms,
)
from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    failed_request,
    reader_config,
)
from flows.connectors.kafka.lineage import OutputTopic, main_output, position_from_outputs
from flows.connectors.kafka.lookup import Bounds, bounds, committed, first_message, true_ends
from flows.connectors.kafka.positions import (
    Position,
    Start,
    StartPolicy,
    decode_metadata,
    plan,
)
from flows.errors import LogTrimmedError, UnknownPositionError


def plan_all(
    config: ClientConfig,
    group: str,
    topic: str,
    partitions: int,
    *,
    accept_state_loss: bool,
    outputs: Sequence[OutputTopic] = (),
    policy: StartPolicy = "auto",
    timeout_s: float = ANSWER_LIMIT_S,
    only: Sequence[int] | None = None,
) -> list[Start]:
    """Return where each partition starts, and log what the operator should know about it.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    group, topic, partitions
        Whose commits on which input.
    accept_state_loss
        See :func:`flows.connectors.kafka.positions.plan`.
    outputs
        What the flow writes: they tell the position where the commit is forgotten.
    policy
        Where a partition without a commit starts.
    timeout_s
        The longest that the broker may keep silent.
    only
        These partitions; None for all.

    Raises
    ------
    BrokerError
        The broker does not answer in time, or refuses.
    LogTrimmedError, UnknownPositionError
        See :func:`flows.connectors.kafka.positions.plan`.
    """
    inquiry = _Inquiry(config, group, topic, timeout_s)
    positions = inquiry.positions(partitions, range(partitions) if only is None else only)
    if policy != "beginning":
        positions = inquiry.with_outputs(positions, outputs)
    starts = [
        plan(each, topic, accept_state_loss=accept_state_loss, policy=policy) for each in positions
    ]
    behind_outputs = [each for each in positions if isinstance(each.outputs, int)]
    if behind_outputs and policy == "auto":
        _refuse_second_group(config, group, topic, partitions, outputs, timeout_s)
    for start in starts:
        if start.notice:
            structlog.get_logger().warning(start.notice)
    return starts


def plan_committed(
    config: ClientConfig,
    group: str,
    topic: str,
    partitions: int,
    *,
    accept_state_loss: bool,
    only: Sequence[int],
    timeout_s: float = ANSWER_LIMIT_S,
) -> list[Start]:
    """Return where those of the partitions start that have a commit and a log that suits it.

    As :func:`plan_all`, but what has no start is left out and not refused, and nothing is logged.

    Raises
    ------
    BrokerError
        The broker does not answer in time, or refuses.
    """
    starts = []
    for each in _Inquiry(config, group, topic, timeout_s).positions(partitions, only):
        if each.committed is not None:
            with suppress(LogTrimmedError):
                starts.append(plan(each, topic, accept_state_loss=accept_state_loss))
    return starts


def _refuse_second_group(
    config: ClientConfig,
    group: str,
    topic: str,
    partitions: int,
    outputs: Sequence[OutputTopic],
    timeout_s: float,
) -> None:
    """Refuse to write behind the outputs of a group that is still known to the broker."""
    written = main_output(outputs)
    try:
        commits = commits_of_other_groups(config, group, topic, partitions, timeout_s)
    except (KafkaException, TimeoutError) as error:
        structlog.get_logger().warning("other groups are not known", cause=str(error))
        return
    others = sorted(
        name for name, texts in commits.items() if any(_writes(text, written) for text in texts)
    )
    if others:
        message = (
            f"group {group} has no committed offset on {topic}, while {written} holds outputs and"
            f" group {others[0]} writes there, too: two groups would score everything twice; set"
            f" VOLTICK_GROUP={others[0]} to go on as that group, or, where it does not run any"
            " more, VOLTICK_START=outputs to go on behind its outputs, or VOLTICK_START=beginning"
            " to score the whole log once more"
        )
        raise UnknownPositionError(message)


def _writes(metadata_text: str, topic: str | None) -> bool:
    """Tell whether a commit was made by a flow with this main output."""
    metadata = decode_metadata(metadata_text)
    return metadata is not None and metadata.writes == topic


class _Inquiry:
    """Questions about the partitions of one group's input topic."""

    def __init__(self, config: ClientConfig, group: str, topic: str, timeout_s: float) -> None:
        self._config = config
        self._group = group
        self._topic = topic
        self._timeout_s = timeout_s

    def positions(self, partitions: int, wanted: Sequence[int]) -> list[Position]:
        """Return commit and log of each wanted partition."""
        # Uncommitted: an owner that died in a transaction would otherwise hide the committed
        # offset until the transaction ends. The sink asks again once it has fenced that owner.
        options = client_config(
            self._config,
            group_id=self._group,
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
        )
        consumer = Consumer(options)
        try:
            with self._asking(f"read the committed offsets of group {self._group}"):
                commits = committed(consumer, self._topic, wanted, self._timeout_s)
            with self._asking("read the bounds of the log"):
                logs = {
                    partition: bounds(consumer, self._topic, partition, self._timeout_s)
                    for partition in wanted
                }
        finally:
            consumer.close()
        admin = AdminClient(client_config(self._config))
        described = describe_topic(admin, self._topic, self._timeout_s)
        id_now = described.topic_id if described is not None else None
        positions = [self._position(commit, logs[commit.partition], id_now) for commit in commits]
        return [
            self._with_silence(position, partitions) for position in self._with_true_ends(positions)
        ]

    def with_outputs(
        self, positions: Sequence[Position], outputs: Sequence[OutputTopic]
    ) -> list[Position]:
        """Return positions that know the outputs wherever there is no commit."""
        if not outputs or all(each.committed is not None for each in positions):
            return list(positions)
        what = f"read the outputs of group {self._group}, which has no committed offset"
        with self._reader() as consumer, self._asking(what):
            return [
                each
                if each.committed is not None
                else replace(
                    each,
                    outputs=position_from_outputs(
                        consumer,
                        self._topic,
                        each.partition,
                        (each.low, each.high),
                        outputs,
                        self._timeout_s,
                    ),
                )
                for each in positions
            ]

    def _position(self, commit: TopicPartition, log: Bounds, id_now: str | None) -> Position:
        known = commit.offset != OFFSET_INVALID
        return Position(
            partition=commit.partition,
            committed=commit.offset if known else None,
            low=log[0],
            high=log[1],
            metadata=decode_metadata(commit.metadata) if known else None,
            topic_id=id_now,
        )

    def _with_true_ends(self, positions: Sequence[Position]) -> list[Position]:
        """Look once more where a committed offset seems to lie beyond the end of its log."""
        doubted = {
            each.partition: (each.low, each.high)
            for each in positions
            if each.committed is not None and each.committed > each.high
        }
        if not doubted:
            return list(positions)
        with self._reader() as consumer, self._asking("read the end of the log"):
            ends = true_ends(consumer, self._topic, doubted)
        return [
            replace(each, high=ends[each.partition]) if each.partition in doubted else each
            for each in positions
        ]

    def _with_silence(self, position: Position, partitions: int) -> Position:
        """Learn how old deleted state is, where some was deleted and messages are left."""
        committed_at = position.committed
        if committed_at is None or not position.state_is_cut or position.low == position.high:
            return position
        with self._reader() as consumer, self._asking("read single messages"):
            next_ms = self._timestamp_ms(consumer, position, committed_at)
            if next_ms is None:
                # No wall clock decides: what comes next is not older than what is on the topic.
                next_ms = newest_timestamp_ms(
                    self._config, self._topic, partitions, self._timeout_s
                )
            # What was deleted is not younger than the first message that was not.
            last_ms = (
                self._timestamp_ms(consumer, position, position.low)
                if position.low < committed_at
                else position.metadata.newest_ms
                if position.metadata is not None
                else None
            )
        if last_ms is None or next_ms is None:
            return position
        return replace(position, silence_ms=next_ms - last_ms)

    def _timestamp_ms(self, consumer: Consumer, position: Position, start: int) -> int | None:
        """Return the Kafka timestamp of the first message from an offset on; None without one."""
        place = (self._topic, position.partition, start, position.high)
        message = (
            first_message(consumer, *place, self._timeout_s) if start < position.high else None
        )
        at_ms = message.timestamp()[1] if message is not None else -1
        return at_ms if at_ms >= 0 else None

    @contextmanager
    def _reader(self) -> Iterator[Consumer]:
        consumer = Consumer(reader_config(self._config, self._group))
        try:
            yield consumer
        finally:
            consumer.close()

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise failed_request(self._config, what, error) from None
