"""Plan a run of the archive: where each partition begins, from its state and its log.

Nothing is written here. What cannot be decided safely is refused, with the choice that the operator
has. The broker is asked for no commit: the archive's state is the only truth about what is in it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.admin import describe_topic
from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    failed_request,
    reader_config,
)
from flows.connectors.kafka.lookup import Bounds, bounds, true_ends
from flows.connectors.kafka.positions import Start
from flows.connectors.parquet import layout
from flows.connectors.parquet.catalog import read_state
from flows.connectors.parquet.layout import parse_run
from flows.connectors.parquet.state import State
from flows.connectors.parquet.storage import Storage
from flows.connectors.parquet.writer import Beginning
from flows.errors import ArchiveError, LogTrimmedError

MADE_UP = "local-"
"""Begins the id of a log whose broker gives none."""

_ACCEPT = "set VOLTICK_ACCEPT_STATE_LOSS=true to go on"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where one topic begins.

    Attributes
    ----------
    topic_id
        Kafka's id of the topic; None where the broker gives none.
    beginnings
        By partition.
    """

    topic: str
    topic_id: str | None
    beginnings: dict[int, Beginning]

    def starts(self) -> list[Start]:
        """Return where each partition is read from."""
        return [
            Start(partition, each.offset, each.offset, topic_id=self.topic_id)
            for partition, each in self.beginnings.items()
        ]


def plan_topic(
    config: ClientConfig,
    group: str,
    storage: Storage,
    topic: str,
    partitions: int,
    *,
    accept_state_loss: bool,
    timeout_s: float = ANSWER_LIMIT_S,
    only: Collection[int] | None = None,
) -> Plan:
    """Return where each partition of a topic begins.

    Parameters
    ----------
    group
        Names the client; it commits nothing.
    accept_state_loss
        Go on where messages are lost, or the topic is another one.
    timeout_s
        The longest that the broker may keep silent.
    only
        Plan these partitions alone; None for all.

    Raises
    ------
    BrokerError
        The broker does not answer in time, or refuses.
    LogTrimmedError
        See :func:`begin`.
    ArchiveError
        The archive cannot be read, or holds files of a partition without its state.
    """
    wanted = range(partitions) if only is None else only
    known = {partition: read_state(storage, topic, partition) for partition in wanted}
    if None in known.values():
        _refuse_files_without_state(storage, topic, known)
    described = describe_topic(AdminClient(client_config(config)), topic, timeout_s)
    topic_id = None if described is None else described.topic_id
    logs = _logs(config, group, topic, known, timeout_s)
    made_up = f"{MADE_UP}{uuid4().hex}"
    return Plan(
        topic,
        topic_id,
        {
            partition: begin(
                f"partition {partition} of {topic}",
                state,
                logs[partition],
                topic_id,
                made_up,
                accept_state_loss=accept_state_loss,
            )
            for partition, state in known.items()
        },
    )


def begin(
    where: str,
    state: State | None,
    log: Bounds,
    topic_id: str | None,
    made_up: str,
    *,
    accept_state_loss: bool,
) -> Beginning:
    """Decide where a partition begins. Asks nobody.

    Parameters
    ----------
    state
        None where nothing is archived yet: all of the log is.
    topic_id
        Of the topic as it is now; None where the broker gives none.
    made_up
        The log's id where there is no other.

    Raises
    ------
    LogTrimmedError
        Messages were deleted before they were archived, or the log is not the one that was
        archived, unless ``accept_state_loss``.
    """
    low, high = log
    if state is None:
        return Beginning(low, topic_id or made_up)
    at, known_id = state.next_offset, state.log_id
    of_kafka = not known_id.startswith(MADE_UP)
    recreated = topic_id is not None and of_kafka and topic_id != known_id
    if recreated or at > high:
        cause = (
            f"was reached on the topic with the id {known_id}, and the one that is there has"
            f" {topic_id}"
            if recreated
            else f"is beyond the end of the log {high}"
        )
        refusal = (
            f"{where}: the archived offset {at} {cause}, so the topic was recreated, or a broker"
            f" has lost its end; {_ACCEPT} with what is there, beside what is archived, or archive"
            " into another folder"
        )
        if not accept_state_loss:
            raise LogTrimmedError(refusal)
        if topic_id is not None and not recreated:
            # A broker has lost the end of the log: what comes there is not what was archived.
            return Beginning(high, made_up)
        return Beginning(low, topic_id or made_up)
    if at < low:
        if not accept_state_loss:
            refusal = (
                f"{where}: the archived offset {at} is below the log's first offset {low}:"
                f" {low - at} messages were deleted before they were archived; {_ACCEPT} from"
                f" offset {low}, and lengthen the topic's retention"
            )
            raise LogTrimmedError(refusal)
        return Beginning(low, known_id)
    return Beginning(at, known_id)


def _refuse_files_without_state(
    storage: Storage, topic: str, known: Mapping[int, State | None]
) -> None:
    without = {partition for partition, state in known.items() if state is None}
    for path, _size in storage.files(f"{layout.topic_folder(topic)}/"):
        run = parse_run(path.rpartition("/")[2])
        # Another member of the group may have begun the partition meanwhile.
        if (
            run is not None
            and run.partition in without
            and read_state(storage, topic, run.partition) is None
        ):
            message = (
                f"the archive {storage.name} holds files of partition {run.partition} of {topic},"
                f" such as {path}, but {layout.state_file(topic, run.partition)} is missing:"
                " restore it, or archive into another folder"
            )
            raise ArchiveError(message)


def _logs(
    config: ClientConfig,
    group: str,
    topic: str,
    known: Mapping[int, State | None],
    timeout_s: float,
) -> dict[int, Bounds]:
    consumer = Consumer(reader_config(config, group))
    try:
        found = {at: bounds(consumer, topic, at, timeout_s) for at in known}
        doubted = {
            at: found[at]
            for at, state in known.items()
            if state is not None and state.next_offset > found[at][1]
        }
        ends = true_ends(consumer, topic, doubted) if doubted else {}
    except KafkaException as error:
        raise failed_request(config, f"read the bounds of {topic}", error) from None
    finally:
        consumer.close()
    return {at: (low, ends.get(at, high)) for at, (low, high) in found.items()}
