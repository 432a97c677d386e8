"""Topics with messages on them, as the flows would have written them."""

import msgspec
from confluent_kafka import Producer

from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import create_topics


class WrittenLog:
    """Writes what the flows would, all to one partition."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        config = broker.client_config()
        create_topics(config, 1)
        self._producer = Producer(config)

    def write(self, topic: str, *messages: msgspec.Struct) -> None:
        """Write messages, each under its symbol, and wait until the broker has them."""
        for message in messages:
            self._producer.produce(
                topic, msgspec.json.encode(message), getattr(message, "symbol", None)
            )
        assert self._producer.flush(20) == 0
