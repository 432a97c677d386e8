"""Initialise a transactional producer, which fences every earlier owner of its partition.

The broker refuses as long as it still ends what an earlier owner has left open, some milliseconds.
The client then asks again after half a second, whatever its settings (librdkafka 2.16), but at once
when it is called again. So it is called again as soon as it tells of that.

An attempt to which no answer has come is not repeated so soon: the broker would take the second
request for that of a younger owner, and fence the first.
"""

import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka.client import kafka_error
from flows.connectors.kafka.producer import TransactionalProducer
from flows.connectors.kafka.retry import STEP_S, is_passing, retried

CLIENT_ASKS_AGAIN_S = 0.5
"""After so long the client asks again by itself."""

_SHORTEST_STEP_S = 0.1
# An initialisation finds the coordinator, connects to it, and asks it; a first contact connects
# and asks once.
_STEP_BY_CONTACT = 5


def fence(
    producer: TransactionalProducer,
    topic: str,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Return once the producer is the youngest of its name, and nothing of it is open.

    Parameters
    ----------
    topic
        Any that the broker knows.
    limit_s
        The longest that the broker may keep it waiting.
    clock
        Monotonic seconds.
    is_wanted
        Once it returns False, the broker is not asked again: another owner may be younger.

    Raises
    ------
    KafkaException
        The broker refuses, or keeps silent, also where it is not asked again.
    """
    end_s = clock() + limit_s
    step_s = _step_s(producer, topic, min(STEP_S, limit_s), clock)
    while step_s < CLIENT_ASKS_AGAIN_S and clock() < end_s:
        try:
            producer.init_transactions(step_s)
        except KafkaException as error:
            reason = kafka_error(error)
            if not is_passing(reason) or not is_wanted():
                raise
            if reason.code() != KafkaError.CONCURRENT_TRANSACTIONS:
                break
        else:
            return
    retried(
        producer.init_transactions,
        max(end_s - clock(), 0.0),
        passes=lambda error: is_passing(error) and is_wanted(),
    )


def _step_s(
    producer: TransactionalProducer, topic: str, limit_s: float, clock: Callable[[], float]
) -> float:
    """Return within how many seconds an answer can be counted on, by those of a first contact."""
    began_s = clock()
    try:
        producer.list_topics(topic, limit_s)
    except KafkaException:
        return CLIENT_ASKS_AGAIN_S
    return max(_SHORTEST_STEP_S, _STEP_BY_CONTACT * (clock() - began_s))
