"""The settings of topics, as the broker tells them."""

from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from flows.connectors.kafka.client import ClientConfig, client_config, kafka_error

TopicSettings = Mapping[str, str]
"""Values by Kafka's name of the setting."""


def topic_settings(
    config: ClientConfig, names: Iterable[str], timeout_s: float
) -> tuple[dict[str, TopicSettings], dict[str, str]]:
    """Return the settings of topics by name, all asked for at once; and for others why not."""
    admin = AdminClient(client_config(config))
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found: dict[str, TopicSettings] = {}
    causes: dict[str, str] = {}
    answers = admin.describe_configs(asked, request_timeout=timeout_s) if asked else {}
    for resource, answer in answers.items():
        try:
            entries = answer.result(timeout_s)
        except KafkaException as error:
            causes[resource.name] = kafka_error(error).str()
        except TimeoutError:
            causes[resource.name] = "no answer"
        else:
            values = {name: entry.value for name, entry in entries.items()}
            found[resource.name] = {name: text for name, text in values.items() if text is not None}
    return found, causes
