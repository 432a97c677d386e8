"""What a broker tells about topics and groups at a glance: ends, commits, owners.

Delivery: nothing is read. Blocking: until the broker answers, at most ``ANSWER_LIMIT_S`` each.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.admin import partition_counts
from flows.connectors.kafka.client import (
    ANSWER_LIMIT_S,
    ClientConfig,
    client_config,
    failed_request,
    uncommitted_config,
)
from flows.connectors.kafka.lookup import Bounds, bounds, committed

_SIDE_BY_SIDE = 16  # requests under way
_GROUP = "voltick-status"  # required by the client; nothing is committed


class BrokerView:
    """Asks one broker again and again over the same connections.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        # The embedded broker tells a reader of committed data that a log ends where it begins, as
        # long as a transaction is open.
        self._consumer = Consumer(uncommitted_config(config, _GROUP))
        self._groups: dict[str, Consumer] = {}
        quiet = client_config(config)
        quiet["error_cb"] = lambda _error: None
        self._admin = AdminClient(quiet)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        for consumer in (self._consumer, *self._groups.values()):
            consumer.close()

    def bounds(self, topics: Sequence[str]) -> dict[str, dict[int, Bounds]]:
        """Return the bounds of each partition; a topic that does not exist is left out.

        Raises
        ------
        BrokerError
            The broker does not answer.
        """
        counts = partition_counts(self._config, list(topics))
        places = [(topic, at) for topic, count in counts.items() for at in range(count)]
        found: dict[str, dict[int, Bounds]] = {}
        try:
            for (topic, at), ends in zip(places, self._side_by_side(places), strict=True):
                found.setdefault(topic, {})[at] = ends
        except KafkaException as error:
            raise failed_request(self._config, "read the topics' ends", error) from None
        return found

    def _side_by_side(self, places: Sequence[tuple[str, int]]) -> list[Bounds]:
        """Ask for many partitions at once: one after the other, a distant broker takes minutes."""

        def ask(place: tuple[str, int]) -> Bounds:
            return bounds(self._consumer, *place, ANSWER_LIMIT_S)

        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            return list(pool.map(ask, places))

    def commits(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Return a group's committed offsets; partitions without one are left out.

        Raises
        ------
        BrokerError
            The broker does not answer.
        """
        consumer = self._groups.get(group)
        if consumer is None:
            # A reader of committed data gets no offset while a transaction is open.
            consumer = self._groups[group] = Consumer(uncommitted_config(self._config, group))
        try:
            found = committed(consumer, topic, range(partitions), ANSWER_LIMIT_S)
        except KafkaException as error:
            self._groups.pop(group).close()  # a client tells of its group's refusal only once
            what = f"read the committed offsets of group {group}"
            raise failed_request(self._config, what, error) from None
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def owners(self, group: str, topic: str) -> dict[int, str]:
        """Return the group's member that has each partition; empty where it shares none out."""
        try:
            answers = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_LIMIT_S)
            described = answers[group].result(ANSWER_LIMIT_S)
        except (KafkaException, TimeoutError):  # a broker without groups
            return {}
        return {
            place.partition: f"{member.client_id} at {member.host.lstrip('/')}"
            for member in described.members
            for place in (member.assignment.topic_partitions if member.assignment else ())
            if place.topic == topic
        }
