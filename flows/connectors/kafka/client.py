"""Configuration and errors that all Kafka clients of this package share."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException

from flows.errors import BrokerError

ClientConfig = Mapping[str, str | int]

# A first contact that takes longer is reported as an unreachable broker.
ANSWER_LIMIT_S = 10.0


def client_config(config: ClientConfig, **options: object) -> dict[str, Any]:
    """Return a client's configuration: where and how to connect, plus this client's options.

    librdkafka's own log lines are dropped; what matters reaches the operator as an exception or as
    a warning through ``error_cb``.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    options
        librdkafka options, dots written as underscores.
    """
    silent = logging.getLogger("voltick.librdkafka")
    silent.disabled = True
    named = {name.replace("_", "."): value for name, value in options.items()}
    return {
        "error_cb": warn_once(),
        "logger": silent,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        **config,
        **named,
    }


def warn_once() -> Callable[[KafkaError], None]:
    """Return a callback for connection troubles that logs each kind once per client."""
    known: set[int] = set()

    def warn(error: KafkaError) -> None:
        if error.code() not in known:
            known.add(error.code())
            structlog.get_logger().warning("kafka client", error=error.name(), cause=error.str())

    return warn


def kafka_error(error: KafkaException) -> KafkaError:
    """Return what librdkafka said."""
    said: KafkaError = error.args[0]
    return said


def unreachable(config: ClientConfig, cause: str) -> BrokerError:
    """Return the error for a broker that does not answer."""
    return BrokerError(
        f"no Kafka broker answers at {config.get('bootstrap.servers')} ({cause});"
        " check KAFKA_BOOTSTRAP_SERVERS, the security settings, and that the broker runs"
    )
