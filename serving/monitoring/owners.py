"""Which member of the consumer group has which partition."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas import topics

TIMEOUT_S = 2.0
FRESH_S = 10.0


class PartitionOwners:
    """Asks the broker now and then; a broker without groups has no owners.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``; None where no broker is configured.
    group
        ``VOLTICK_GROUP``.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        config: Mapping[str, str | int] | None,
        group: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._group = group
        self._clock = clock
        self._client: AdminClient | None = None
        self._known: dict[int, str] = {}
        self._due_s = float("-inf")

    def current(self) -> dict[int, str]:
        """Return the member by partition of ``ticks.raw``, at most ten seconds old."""
        if self._config is not None and self._clock() >= self._due_s:
            self._known = self._ask(self._config)
            self._due_s = self._clock() + FRESH_S
        return self._known

    def _ask(self, config: Mapping[str, str | int]) -> dict[int, str]:
        try:
            if self._client is None:
                quiet: dict[str, Any] = {
                    "log_level": 0,
                    "error_cb": _ignore,
                    "socket.timeout.ms": 2000,
                }
                self._client = AdminClient({**config, **quiet})
            answers = self._client.describe_consumer_groups(
                [self._group], request_timeout=TIMEOUT_S
            )
            described = answers[self._group].result(TIMEOUT_S)
        except (KafkaException, TimeoutError):
            return {}
        return {
            place.partition: f"{member.client_id} at {member.host.lstrip('/')}"
            for member in described.members
            for place in (member.assignment.topic_partitions if member.assignment else ())
            if place.topic == topics.TICKS_RAW
        }


def _ignore(_error: object) -> None:
    """Drop what librdkafka reports; the call that fails raises."""
