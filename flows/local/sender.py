"""Send a feed's messages to Kafka and keep the offsets of its ticks."""

from collections.abc import Callable

from confluent_kafka import KafkaError, Message, Producer

from flows.connectors.kafka.client import ClientConfig, idempotent_config, produce_all
from flows.errors import BrokerError
from flows.feeds.processor import Messages
from flows.local.summary import FeedCount
from schemas import topics

_FLUSH_S = 1.0


class Sender:
    """An idempotent producer; a failed delivery fails the next call.

    Parameters
    ----------
    config
        Brokers and security settings.
    """

    def __init__(self, config: ClientConfig) -> None:
        options = idempotent_config(
            config,
            partitioner="murmur2",  # as ingest does: a symbol stays in one partition
            linger_ms=5,
            compression_type="lz4",
            queue_buffering_max_messages=200_000,
        )
        options["on_delivery"] = self._delivered  # the client's own name, with an underscore
        self._producer = Producer(options)
        self._failed: KafkaError | None = None
        # partition -> [first offset, last offset, count]
        self._landed: dict[int, list[int]] = {}

    def send(self, messages: Messages) -> None:
        """Hand messages over, waiting where the queue is full.

        Raises
        ------
        BrokerError
            A delivery failed.
        """
        by_topic = {topics.TICKS_RAW: messages.ticks, topics.DEAD_LETTERS: messages.dead}
        for topic, own in by_topic.items():
            produce_all(self._producer, topic, own, self._check)
        self._check()

    def finish(self, count: FeedCount, check: Callable[[], None]) -> int:
        """Wait until all is delivered and note where; return how many foreign messages are between.

        Parameters
        ----------
        check
            Called while waiting; raises where it is in vain.

        Raises
        ------
        BrokerError
            A delivery failed.
        """
        while self._producer.flush(_FLUSH_S):
            self._check()
            check()
        self._check()
        for partition, (first, last, _) in self._landed.items():
            count.start[partition], count.end[partition] = first, last + 1
        count.ticks = sum(sent for _, _, sent in self._landed.values())
        return sum(last + 1 - first - sent for first, last, sent in self._landed.values())

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = self._failed or error
            return
        partition, offset = message.partition(), message.offset()
        if message.topic() != topics.TICKS_RAW or partition is None or offset is None:
            return
        landed = self._landed.get(partition)
        if landed is None:
            self._landed[partition] = [offset, offset, 1]
            return
        landed[0] = min(landed[0], offset)
        landed[1] = max(landed[1], offset)
        landed[2] += 1

    def _check(self) -> None:
        if self._failed is not None:
            message = f"the broker refused a message of the feed: {self._failed.str()}"
            raise BrokerError(message)
