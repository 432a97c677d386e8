"""What the broker lets this user do, asked before it is tried: a refusal then names the topic.

A client that tries without permission is told of an erroneous state, of a fatal error or of a
broker that does not answer, as the case may be.
"""

from collections.abc import Collection

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient  # type: ignore[attr-defined]

from flows.connectors.kafka.client import ANSWER_LIMIT_S, ClientConfig, client_config
from flows.errors import BrokerError


def require_allowed(
    config: ClientConfig,
    reads: Collection[str] = (),
    writes: Collection[str] = (),
    timeout_s: float = ANSWER_LIMIT_S,
) -> None:
    """Refuse to go on where topics may not be read or written.

    A broker that does not tell, and a topic that it does not show, are left to be found out.

    Parameters
    ----------
    reads, writes
        Existing topics.

    Raises
    ------
    BrokerError
        It names each topic and operation that is not allowed.
    """
    wanted = [(name, AclOperation.READ) for name in reads]
    wanted += [(name, AclOperation.WRITE) for name in writes]
    allowed = _allowed(config, {name for name, _operation in wanted}, timeout_s)
    denied = [
        f"{operation.name} on topic {name}"
        for name, operation in wanted
        if name in allowed and operation not in allowed[name]
    ]
    if denied:
        where = config.get("bootstrap.servers")
        message = f"Kafka at {where} does not allow {whose(config)} {', '.join(denied)}; allow it"
        raise BrokerError(message)


def whose(config: ClientConfig) -> str:
    """Return how to name whom the broker takes the clients for."""
    name = config.get("sasl.username")
    return "this user" if name is None else f"user {name}"


def _allowed(
    config: ClientConfig, names: Collection[str], timeout_s: float
) -> dict[str, list[AclOperation]]:
    """Return the allowed operations of the topics for which the broker tells them."""
    if not names:
        return {}
    admin = AdminClient(client_config(config))
    answers = admin.describe_topics(
        TopicCollection(sorted(names)),
        include_authorized_operations=True,
        request_timeout=timeout_s,
    )
    found = {}
    for name, answer in answers.items():
        try:
            operations = answer.result(timeout_s).authorized_operations
        except (KafkaException, TimeoutError):
            continue
        if operations is not None:
            found[name] = list(operations)
    return found
