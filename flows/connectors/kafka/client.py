"""What all Kafka clients of this package share.

Their configuration, their errors, the first contact with the broker, and handing messages over to
a producer whose queue may be full.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.retry import is_passing, retried
from flows.errors import BrokerError, ConfigurationError

ClientConfig = Mapping[str, str | int]

# A first contact that takes longer is reported as an unreachable broker.
ANSWER_LIMIT_S = 10.0
# An error that has not been seen for so long belongs to another outage when it comes again.
OUTAGE_OVER_S = 60.0
REMINDER_S = 600.0
# Kafka's own limit of a batch, unless a topic has another one, and what that counts beside.
BATCH_BYTES = 1024 * 1024
BATCH_OVERHEAD_BYTES = 12
ANY_PARTITION = -1  # the producer's partitioner decides, by the message's key

_ALLOW = {
    KafkaError.GROUP_AUTHORIZATION_FAILED: "; allow DESCRIBE or READ on the group",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "; allow READ on the topic",
}
_CLOCKS = (
    "; compare this host's clock with the broker's, and look at the topic's message.timestamp.*"
)
_ADJUST = {
    KafkaError.MSG_SIZE_TOO_LARGE: "; raise its max.message.bytes to"
    f" {BATCH_BYTES + BATCH_OVERHEAD_BYTES} or more, or start this again, which then sends batches"
    " as small as the topic wants them",
    KafkaError.INVALID_TIMESTAMP: _CLOCKS,
    KafkaError.INVALID_RECORD: _CLOCKS,
}
_FIRST_ASK_S = 0.5
_FULL_POLL_S = 0.01
# librdkafka's names of its own error codes begin with an underscore.
_REFUSED = KafkaError._AUTHENTICATION  # noqa: SLF001
_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
_QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001


class BatchProducer(Protocol):
    """The part of ``confluent_kafka.Producer`` that queues messages."""

    def produce_batch(  # noqa: D102
        self, topic: str, messages: list[dict[str, Any]], partition: int
    ) -> int: ...
    def poll(self, timeout: float) -> int: ...  # noqa: D102


def client_config(config: ClientConfig, **options: object) -> dict[str, Any]:
    """Return a client's configuration: where and how to connect, plus this client's options.

    librdkafka's own log lines are dropped; what matters reaches the operator as an exception or as
    a warning through ``error_cb``. Once all brokers are away, the client forgets those it knew and
    begins anew with the given addresses: one that keeps them may never send again where its broker
    fell silent and was then killed (librdkafka 2.16). Only a transactional producer keeps them.

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
        "error_cb": error_logger(),
        "logger": silent,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        **config,
        **named,
    }


def idempotent_config(config: ClientConfig, **options: object) -> dict[str, Any]:
    """Return the configuration of a producer that writes each message once, without transactions.

    Parameters
    ----------
    config, options
        As of :func:`client_config`.
    """
    return client_config(config, enable_idempotence=True, **options)


def reader_config(config: ClientConfig, group: str) -> dict[str, Any]:
    """Return the configuration of a consumer that only assigns, tuned for latency under load."""
    return client_config(
        config,
        group_id=group,
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        isolation_level="read_committed",
        auto_offset_reset="error",
        enable_partition_eof=True,
        fetch_min_bytes=1,
        # The embedded broker answers with nothing where its search takes longer than this.
        fetch_wait_max_ms=50,
        fetch_error_backoff_ms=50,
        # With the default of 1 s a full local queue would run dry before fetching goes on.
        fetch_queue_backoff_ms=5,
        fetch_message_max_bytes=2 * 1024 * 1024,
        # Some 50 ms of reading at full speed, in messages that take twice their bytes.
        queued_min_messages=20_000,
        queued_max_messages_kbytes=8 * 1024,
    )


def uncommitted_config(config: ClientConfig, group: str) -> dict[str, Any]:
    """Return what :func:`reader_config` does, for a consumer that heeds no transaction.

    While one is open, a reader of committed data gets no offset of the group's, and from the
    embedded broker the beginning of a log as its end.
    """
    return {**reader_config(config, group), "isolation.level": "read_uncommitted"}


def error_logger(clock: Callable[[], float] = time.monotonic) -> Callable[[KafkaError], None]:
    """Return a callback that logs connection errors, each kind once an outage and now and then.

    librdkafka reports an error at every attempt to connect again.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """
    seen_s: dict[int, float] = {}
    logged_s: dict[int, float] = {}

    def warn(error: KafkaError) -> None:
        code, now_s = error.code(), clock()
        is_new = now_s - seen_s.get(code, -math.inf) > OUTAGE_OVER_S
        seen_s[code] = now_s
        if is_new or now_s - logged_s[code] >= REMINDER_S:
            logged_s[code] = now_s
            structlog.get_logger().warning("kafka client", error=error.name(), cause=error.str())

    return warn


def undelivered(error: KafkaError, topic: str | None) -> str:
    """Return why a message to a topic was not delivered, and what helps where that is known."""
    return f"to {topic}: {error.str()}{_ADJUST.get(error.code(), '')}"


def kafka_error(error: KafkaException) -> KafkaError:
    """Return the error inside a client's exception."""
    found: KafkaError = error.args[0]
    return found


def unreachable(config: ClientConfig, cause: str) -> BrokerError:
    """Return the error for a broker that does not answer."""
    return BrokerError(
        f"no Kafka broker answers at {config.get('bootstrap.servers')} ({cause});"
        " check KAFKA_BOOTSTRAP_SERVERS, the security settings, and that the broker runs"
    )


def failed_request(config: ClientConfig, what: str, error: KafkaException) -> BrokerError:
    """Return the error for a request that the broker did not answer or has refused.

    Parameters
    ----------
    what
        The request, as in "cannot read the committed offsets".
    """
    reason = kafka_error(error)
    if is_passing(reason):
        return unreachable(config, reason.str())
    where = config.get("bootstrap.servers")
    cure = _ALLOW.get(reason.code(), "")
    return BrokerError(f"Kafka at {where} refuses: cannot {what}: {reason.str()}{cure}")


def topic_metadata(config: ClientConfig, timeout_s: float) -> dict[str, Any]:
    """Return the broker's description of every topic, by name.

    This is a process's first contact with the broker, so it explains why there is none.

    Raises
    ------
    ConfigurationError
        librdkafka cannot use the configuration.
    BrokerError
        The broker refuses the credentials, which ends the attempts at once, or does not answer in
        time.
    """
    reported: list[KafkaError] = []
    options = client_config(config)
    options["error_cb"] = reported.append
    try:
        admin = AdminClient(options)
    except KafkaException as error:
        message = f"Kafka's settings cannot be used: {kafka_error(error).str()}; check KAFKA_*"
        raise ConfigurationError(message) from None

    # Short at first, since a refusal is heard between two attempts alone; but an answer of many
    # topics, or over a slow line, takes longer, and each attempt asks anew.
    patience_s = _FIRST_ASK_S

    def ask(step_s: float) -> dict[str, Any]:
        nonlocal patience_s
        limit_s, patience_s = min(patience_s, step_s), 2 * patience_s
        try:
            topics: dict[str, Any] = admin.list_topics(timeout=limit_s).topics
        except KafkaException:
            admin.poll(0)
            refused = [each for each in reported if each.code() == _REFUSED]
            if refused:
                raise _no_entry(config, refused[-1]) from None
            raise
        return topics

    try:
        return retried(ask, timeout_s, passes=lambda _error: True)
    except KafkaException as error:
        # That all brokers are down says less than any error beside it.
        causes = [each for each in reported if each.code() != _ALL_DOWN]
        cause = causes[-1] if causes else kafka_error(error)
        raise unreachable(config, cause.str()) from None


def produce_all(
    producer: BatchProducer,
    topic: str,
    messages: Iterable[tuple[bytes | None, bytes]],
    check: Callable[[], None],
    partition: int = ANY_PARTITION,
) -> None:
    """Queue messages, given as key and value, in order; wait while the queue is full.

    Parameters
    ----------
    check
        Called after each wait; raises where waiting longer is in vain.
    partition
        Where all of them go.

    Raises
    ------
    KafkaException
        The client refuses a message.
    """
    waiting: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in messages]
    while waiting:
        queued = producer.produce_batch(topic, waiting, partition)
        if queued == len(waiting):
            break
        # A message that was not taken is marked; nothing after it was taken either.
        waiting = [message for message in waiting if "_error" in message]
        for message in waiting:
            error = message.pop("_error")
            if error.code() != _QUEUE_FULL:
                raise KafkaException(error)
        producer.poll(_FULL_POLL_S)
        check()
    producer.poll(0)


def _no_entry(config: ClientConfig, cause: KafkaError) -> BrokerError:
    return BrokerError(
        f"Kafka at {config.get('bootstrap.servers')} refuses the credentials ({cause.str()});"
        " check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )
