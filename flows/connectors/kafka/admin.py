"""Topics: create those that are missing, compare their partition counts, size their messages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    BATCH_BYTES,
    BATCH_OVERHEAD_BYTES,
    ClientConfig,
    client_config,
    kafka_error,
    topic_metadata,
    unreachable,
)
from flows.connectors.kafka.keeping import FOR_EVER, require_kept
from flows.connectors.kafka.retry import retried
from flows.connectors.kafka.topic_settings import TopicSettings, topic_settings
from flows.errors import BrokerError
from schemas import topics

# A dead letter carries the refused bytes in base64; with this, whole up to some 3 MB.
DEAD_LETTER_BYTES = 4 * 1024 * 1024
_SIZE_OPTION = "max.message.bytes"
_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_TOPIC_SETTINGS = {
    topics.DEAD_LETTERS: {_SIZE_OPTION: str(DEAD_LETTER_BYTES)},
    topics.REDRIVEN: FOR_EVER,
}


def ensure_topics(
    config: ClientConfig,
    names: Sequence[str],
    partitions: int,
    replication: int = 1,
    timeout_s: float = ANSWER_LIMIT_S,
) -> int:
    """Create the topics that are missing and return the partition count that all have.

    Missing topics get the count of those that exist; ``partitions`` counts where none does.

    Raises
    ------
    BrokerError
        The broker does not answer in time, refuses, or the topics' partition counts differ; or a
        topic is compacted (:func:`flows.connectors.kafka.keeping.require_kept`).
    """
    counts = partition_counts(config, names, timeout_s)
    known = {name: count for name, count in counts.items() if count}
    _require_equal(known)
    count = next(iter(known.values()), partitions)
    missing = [name for name in names if not counts[name]]
    if missing:
        admin = AdminClient(client_config(config))
        _create(admin, config, missing, count, replication, timeout_s)
        _wait_for_leaders(admin, config, missing, count, timeout_s)
        # Somebody else may have been faster, with another count.
        counts = partition_counts(config, names, timeout_s)
        known = {name: found for name, found in counts.items() if found}
        _require_equal(known)
        count = next(iter(known.values()), count)
    require_kept(config, names, timeout_s)
    return count


def partition_counts(
    config: ClientConfig, names: Iterable[str], timeout_s: float = ANSWER_LIMIT_S
) -> dict[str, int]:
    """Return how many partitions each topic has, 0 where it does not exist.

    Raises
    ------
    ConfigurationError
        The settings for Kafka cannot be used.
    BrokerError
        The broker refuses the credentials or does not answer in time.
    """
    found = topic_metadata(config, timeout_s)
    return {name: len(found[name].partitions) if name in found else 0 for name in names}


def message_limit(
    config: ClientConfig, topic: str, wanted: int, timeout_s: float = ANSWER_LIMIT_S
) -> int:
    """Return the largest message, in bytes, that an existing topic takes, at most ``wanted``.

    The topic is left as it is: only topics that Voltick creates get a limit of its choice. Kafka's
    default is assumed where the broker does not name the limit.
    """
    log = structlog.get_logger()
    found, causes = topic_settings(config, [topic], timeout_s)
    if topic in causes:
        log.warning("the topic's limit is unknown", topic=topic, cause=causes[topic])
        return min(wanted, BATCH_BYTES + BATCH_OVERHEAD_BYTES)
    limit = _size_limit(found[topic])
    if limit is None or limit >= wanted:  # a broker without the option has no such limit
        return wanted
    log.warning(
        f"{_SIZE_OPTION} is low: longer messages are cut; raise it to keep them whole",
        topic=topic,
        limit=limit,
        wanted=wanted,
    )
    return limit


def batch_limit(
    config: ClientConfig,
    names: Iterable[str],
    wanted: int = BATCH_BYTES,
    timeout_s: float = ANSWER_LIMIT_S,
) -> int:
    """Return the largest batch, in bytes, that all of some topics take, at most ``wanted``.

    The client splits no batch that its topic refuses. A topic whose limit the broker does not tell
    counts as one without.
    """
    found, _causes = topic_settings(config, names, timeout_s)
    told = {name: _size_limit(settings) for name, settings in found.items()}
    limits = {
        name: limit - BATCH_OVERHEAD_BYTES for name, limit in told.items() if limit is not None
    }
    least = min(limits, key=limits.__getitem__, default="")
    if not least or limits[least] >= wanted:
        return wanted
    structlog.get_logger().info(
        f"{_SIZE_OPTION} is low: messages go in smaller batches", topic=least, bytes=limits[least]
    )
    return max(limits[least], 1)


@dataclass(frozen=True, slots=True)
class DescribedTopic:
    """A topic as it is now.

    Attributes
    ----------
    partitions
        How many; 0 where there is no topic of that name.
    topic_id
        Kafka's id, which a topic made anew under the same name does not share; None where the
        broker gives none.
    """

    partitions: int
    topic_id: str | None


def describe_topic(
    admin: AdminClient, topic: str, timeout_s: float = ANSWER_LIMIT_S
) -> DescribedTopic | None:
    """Return partition count and id of a topic; None where the broker does not answer."""
    asked = TopicCollection([topic])
    try:
        answer = admin.describe_topics(asked, request_timeout=timeout_s)[topic].result(timeout_s)
    except KafkaException as error:
        is_gone = kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        return DescribedTopic(0, None) if is_gone else None
    except TimeoutError:
        return None
    given = answer.topic_id
    is_known = given is not None and (
        given.get_most_significant_bits() or given.get_least_significant_bits()
    )
    return DescribedTopic(len(answer.partitions), str(given) if is_known else None)


def newest_timestamp_ms(
    config: ClientConfig, topic: str, partitions: int, timeout_s: float = ANSWER_LIMIT_S
) -> int | None:
    """Return the greatest Kafka timestamp on a topic, milliseconds; None where it is not known."""
    admin = AdminClient(client_config(config))
    newest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, at): newest for at in range(partitions)}
    try:
        answers = admin.list_offsets(asked, request_timeout=timeout_s)
        newest_ms = max(answer.result(timeout_s).timestamp for answer in answers.values())
    except (KafkaException, TimeoutError):
        return None
    return newest_ms if newest_ms >= 0 else None


def commits_of_other_groups(
    config: ClientConfig, group: str, topic: str, partitions: int, timeout_s: float
) -> dict[str, list[str]]:
    """Return the metadata of all commits on a topic, by group, without this group's own.

    Raises
    ------
    KafkaException, TimeoutError
        The broker refuses or does not answer.
    """
    admin = AdminClient(client_config(config))
    listed = admin.list_consumer_groups(request_timeout=timeout_s).result(timeout_s).valid
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    found: dict[str, list[str]] = {}
    for name in sorted(each.group_id for each in listed if each.group_id != group):
        asked = [ConsumerGroupTopicPartitions(name, places)]
        [answer] = admin.list_consumer_group_offsets(asked, request_timeout=timeout_s).values()
        commits = answer.result(timeout_s).topic_partitions
        texts = [each.metadata or "" for each in commits if each.offset >= 0 and not each.error]
        if texts:
            found[name] = texts
    return found


def _size_limit(settings: TopicSettings) -> int | None:
    limit = settings.get(_SIZE_OPTION)
    return None if limit is None else int(limit)


def _require_equal(counts: dict[str, int]) -> None:
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
        message = (
            f"the topics differ in their partition counts ({listed}); outputs of a partition go to"
            " the partition of the same number: recreate the topics with equal counts"
        )
        raise BrokerError(message)


def _wait_for_leaders(
    admin: Any, config: ClientConfig, names: Sequence[str], partitions: int, timeout_s: float
) -> None:
    """Wait until new topics can be used: the broker confirms their creation earlier than that."""

    def ask(step_s: float) -> None:
        found = admin.list_topics(timeout=step_s).topics
        without = [name for name in names if not _is_led(found.get(name), partitions)]
        if without:
            cause = f"no leader for {', '.join(without)}"
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, cause))

    try:
        retried(ask, timeout_s)
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None


def _is_led(topic: Any, partitions: int) -> bool:
    """Tell whether all partitions of a topic are there, each with a leader."""
    if topic is None or len(topic.partitions) < partitions:
        return False
    return all(partition.leader >= 0 for partition in topic.partitions.values())


def _create(
    admin: Any,
    config: ClientConfig,
    names: Sequence[str],
    partitions: int,
    replication: int,
    timeout_s: float,
) -> None:
    wanted = [
        NewTopic(name, partitions, replication, config=dict(_TOPIC_SETTINGS.get(name, {})))
        for name in names
    ]
    for name, future in admin.create_topics(wanted, request_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            reason = kafka_error(error)
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                hidden = (
                    "; it is not there, or is not shown to this user: allow READ, WRITE or DESCRIBE"
                    " on it, or else CREATE"
                    if reason.code() in _DENIED
                    else ""
                )
                message = f"cannot create topic {name}: {reason.str()}{hidden}"
                raise BrokerError(message) from None
        except TimeoutError:
            raise unreachable(config, f"no answer to creating {name}") from None
