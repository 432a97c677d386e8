"""Topics: are they there, do they fit together; create what is missing."""

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    kafka_error,
    unreachable,
)
from flows.connectors.kafka.contact import topic_metadata
from flows.connectors.kafka.retry import Deadline
from flows.errors import BrokerError
from schemas import topics

# A dead letter carries the refused bytes in base64; with this, whole up to some 3 MB.
DEAD_LETTER_BYTES = 4 * 1024 * 1024
_TOPIC_SETTINGS = {topics.DEAD_LETTERS: {"max.message.bytes": str(DEAD_LETTER_BYTES)}}


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
        The broker does not answer in time, refuses, or the topics' partition counts differ.
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
    """Wait until new topics can be used: the answer to their creation comes earlier."""
    deadline = Deadline(timeout_s)
    while True:
        try:
            found = admin.list_topics(timeout=deadline.step_s()).topics
        except KafkaException as error:
            raise unreachable(config, kafka_error(error).str()) from None
        led = [
            name in found
            and len(found[name].partitions) >= min(partitions, 1)
            and all(part.leader >= 0 for part in found[name].partitions.values())
            for name in names
        ]
        if all(led):
            return
        if deadline.passed:
            raise unreachable(config, f"no leader for {', '.join(names)}")
        deadline.pause()


def _create(
    admin: Any,
    config: ClientConfig,
    names: Sequence[str],
    partitions: int,
    replication: int,
    timeout_s: float,
) -> None:
    wanted = [
        NewTopic(name, partitions, replication, config=_TOPIC_SETTINGS.get(name, {}))
        for name in names
    ]
    for name, future in admin.create_topics(wanted, request_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            reason = kafka_error(error)
            if reason.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                message = f"cannot create topic {name}: {reason.str()}"
                raise BrokerError(message) from None
        except TimeoutError:
            raise unreachable(config, f"no answer to creating {name}") from None
