"""Hand messages to a client's queue, which may be full."""

from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Producer

_FULL_POLL_S = 0.05


def produce_all(
    producer: Producer,
    topic: str,
    messages: Iterable[tuple[bytes, bytes]],
    check: Callable[[], None],
    **options: Any,
) -> None:
    """Queue messages, given as key and value, in order; wait where the queue is full.

    Parameters
    ----------
    check
        Called after each wait; raises where waiting is in vain.
    options
        Of the client's ``produce``, the same for each message.

    Raises
    ------
    KafkaException
        The client does not take a message.
    """
    produce = producer.produce
    for key, value in messages:
        while True:
            try:
                produce(topic, value, key, **options)
            except BufferError:
                producer.poll(_FULL_POLL_S)
                check()
            else:
                break
    producer.poll(0)
