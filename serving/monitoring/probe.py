"""A check that the Kafka broker answers."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from serving.http.views import CheckResult

TIMEOUT_S = 2.0
CACHED_S = 3.0


class BrokerProbe:
    """Asks the broker for its topics; remembers the answer for some seconds.

    Parameters
    ----------
    config
        librdkafka configuration; None where no broker is configured.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        config: Mapping[str, str | int] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._clock = clock
        self._lock = asyncio.Lock()
        self._client: AdminClient | None = None
        self._answer = CheckResult(ok=False, detail="not asked yet")
        self._good_until = float("-inf")

    async def check(self) -> CheckResult:
        """Return within about two seconds, however the broker behaves."""
        async with self._lock:
            if self._clock() >= self._good_until:
                self._answer = await asyncio.to_thread(self._ask)
                self._good_until = self._clock() + CACHED_S
            return self._answer

    def _ask(self) -> CheckResult:
        if self._config is None:
            return CheckResult(ok=False, detail="KAFKA_BOOTSTRAP_SERVERS is not set")
        try:
            if self._client is None:
                # librdkafka would print each failed attempt; the check says it once instead.
                quiet: dict[str, Any] = {
                    "log_level": 0,
                    "error_cb": _ignore,
                    "socket.timeout.ms": 2000,
                }
                self._client = AdminClient({**self._config, **quiet})
            metadata = self._client.list_topics(timeout=TIMEOUT_S)
        except KafkaException as error:
            reason = error.args[0]
            detail = reason.str() if hasattr(reason, "str") else str(reason)
            return CheckResult(ok=False, detail=f"the broker does not answer: {detail}")
        return CheckResult(ok=True, detail=f"{len(metadata.topics)} topics")


def _ignore(_error: object) -> None:
    """Drop what librdkafka reports; the call that fails raises."""
