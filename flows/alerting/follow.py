"""Follow a topic from its end on, committing nothing."""

import threading
from collections.abc import Iterator

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from flows.connectors.kafka.admin import partition_counts
from flows.connectors.kafka.client import ClientConfig, failed_request, reader_config
from flows.connectors.kafka.reader import NO_GROUP
from flows.errors import BrokerError

_GROUP = "voltick-alerts"  # required by the client; it is never joined
_BATCH = 2000
_WAIT_S = 0.2
_END = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's name of its own event)


def follow(config: ClientConfig, topic: str, stop: threading.Event) -> Iterator[list[bytes]]:
    """Yield the messages that come from now on, until ``stop`` is set; empty lists in between.

    A broker that is away gives nothing until it is back; what came meanwhile follows then.

    Raises
    ------
    BrokerError
        The topic does not exist, or the broker does not answer at the start or refuses.
    """
    count = partition_counts(config, [topic])[topic]
    if count == 0:
        text = f"topic {topic} does not exist at {config.get('bootstrap.servers')}"
        raise BrokerError(text)
    options = {**reader_config(config, _GROUP), "auto.offset.reset": "latest"}
    consumer = Consumer(options)
    try:
        consumer.assign([TopicPartition(topic, at, OFFSET_END) for at in range(count)])
        while not stop.is_set():
            values = []
            for message in consumer.consume(_BATCH, _WAIT_S):
                error = message.error()
                if error is None:
                    values.append(message.value() or b"")
                elif error.code() not in {_END, NO_GROUP} and not error.retriable():
                    text = f"topic {topic} cannot be read: {error.str()}"
                    raise BrokerError(text)
            yield values
    except KafkaException as error:
        raise failed_request(config, f"read {topic}", error) from None
    finally:
        consumer.close()
