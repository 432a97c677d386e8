"""How large a message a topic takes."""

from typing import Any

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from flows.connectors.kafka.client import ANSWER_LIMIT_S, ClientConfig, client_config, kafka_error

OPTION = "max.message.bytes"
BROKER_DEFAULT = 1_048_588


def message_limit(
    config: ClientConfig, topic: str, wanted: int, timeout_s: float = ANSWER_LIMIT_S
) -> int:
    """Return the largest message, in bytes, that an existing topic takes, at most ``wanted``.

    A topic whose limit is lower gets ``wanted``, where the broker allows us to say so. Where it
    does not even tell the limit, Kafka's default is taken for it.
    """
    admin = AdminClient(client_config(config))
    log = structlog.get_logger()
    try:
        known = _described(admin, topic, timeout_s)
    except (KafkaException, TimeoutError) as error:
        log.warning("the topic's limit is not told", topic=topic, cause=_cause(error))
        return min(wanted, BROKER_DEFAULT)
    if known is None or known >= wanted:  # a broker without the option has no such limit
        return wanted
    try:
        _set(admin, topic, wanted, timeout_s)
    except (KafkaException, TimeoutError) as error:
        log.warning(
            f"{OPTION} is low and cannot be raised: longer messages are cut",
            topic=topic,
            limit=known,
            wanted=wanted,
            cause=_cause(error),
        )
        return known
    log.info(f"{OPTION} raised", topic=topic, before=known, limit=wanted)
    return wanted


def _described(admin: Any, topic: str, timeout_s: float) -> int | None:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    [answer] = admin.describe_configs([resource], request_timeout=timeout_s).values()
    entry = answer.result(timeout_s).get(OPTION)
    return None if entry is None or entry.value is None else int(entry.value)


def _set(admin: Any, topic: str, limit: int, timeout_s: float) -> None:
    entry = ConfigEntry(OPTION, str(limit), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    [answer] = admin.incremental_alter_configs([resource], request_timeout=timeout_s).values()
    answer.result(timeout_s)


def _cause(error: KafkaException | TimeoutError) -> str:
    return kafka_error(error).str() if isinstance(error, KafkaException) else "no answer"
