"""The first contact with the broker, and why it failed."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.client import ClientConfig, client_config, kafka_error, unreachable
from flows.connectors.kafka.retry import Deadline
from flows.errors import BrokerError, ConfigurationError

_ASK_S = 0.5
_REFUSED = KafkaError._AUTHENTICATION  # noqa: SLF001 (librdkafka's names of its own error codes)
# Says only that nothing else worked.
_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001


def topic_metadata(config: ClientConfig, timeout_s: float) -> dict[str, Any]:
    """Return what the broker tells of its topics, by name.

    Raises
    ------
    ConfigurationError
        librdkafka cannot use the configuration.
    BrokerError
        The broker refuses the credentials, which is told at once, or does not answer in time.
    """
    said: list[KafkaError] = []
    options = client_config(config)
    options["error_cb"] = said.append
    try:
        admin = AdminClient(options)
    except KafkaException as error:
        message = f"Kafka's settings cannot be used: {kafka_error(error).str()}; check KAFKA_*"
        raise ConfigurationError(message) from None
    deadline = Deadline(timeout_s)
    while True:
        try:
            topics: dict[str, Any] = admin.list_topics(
                timeout=min(_ASK_S, deadline.step_s())
            ).topics
        except KafkaException as error:
            admin.poll(0)
            refused = [each for each in said if each.code() == _REFUSED]
            if refused:
                raise _no_entry(config, refused[-1]) from None
            if deadline.passed:
                telling = [each for each in said if each.code() != _ALL_DOWN]
                cause = telling[-1] if telling else kafka_error(error)
                raise unreachable(config, cause.str()) from None
        else:
            return topics


def _no_entry(config: ClientConfig, cause: KafkaError) -> BrokerError:
    return BrokerError(
        f"Kafka at {config.get('bootstrap.servers')} refuses the credentials ({cause.str()});"
        " check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )
