"""Ask the broker how far the members of a group have come with partitions, and where to begin."""

from collections.abc import Collection

from confluent_kafka import Consumer, KafkaException

from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    failed_request,
)
from flows.connectors.kafka.lookup import committed
from flows.connectors.kafka.planning import plan_committed
from flows.connectors.kafka.positions import Start


class GroupOffsets:
    """The committed offsets of a group, asked for again and again by one thread.

    The client is no member of the group: it only asks. It is opened with the first question.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    group, topic, partitions
        Whose commits on which input.
    accept_state_loss
        See :func:`flows.connectors.kafka.positions.plan`.
    """

    def __init__(
        self,
        config: ClientConfig,
        group: str,
        topic: str,
        partitions: int,
        *,
        accept_state_loss: bool,
    ) -> None:
        self._config = config
        self._group = group
        self._topic = topic
        self._partitions = partitions
        self._accept_state_loss = accept_state_loss
        self._consumer: Consumer | None = None

    def starts(self, partitions: Collection[int]) -> list[Start]:
        """Return where the states of partitions begin, as far as that is known.

        Raises
        ------
        BrokerError
            The broker does not answer in time, or refuses.
        """
        return plan_committed(
            self._config,
            self._group,
            self._topic,
            self._partitions,
            accept_state_loss=self._accept_state_loss,
            only=sorted(partitions),
        )

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the committed offsets of those partitions that have one.

        Raises
        ------
        BrokerError
            The broker does not answer in time, or refuses.
        """
        consumer = self._asking()
        try:
            answers = committed(consumer, self._topic, partitions, ANSWER_LIMIT_S)
        except KafkaException as error:
            self._consumer = None  # a client tells of its group's refusal only once
            consumer.close()
            what = f"read the committed offsets of group {self._group}"
            raise failed_request(self._config, what, error) from None
        return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}

    def _asking(self) -> Consumer:
        if self._consumer is None:
            # Uncommitted: while a transaction is open, a reader of committed data gets no answer.
            # The answer is the last committed offset all the same.
            options = client_config(
                self._config,
                group_id=self._group,
                enable_auto_commit=False,
                isolation_level="read_uncommitted",
            )
            self._consumer = Consumer(options)
        return self._consumer
