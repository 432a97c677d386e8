"""The newest rate of dead letters in Redis, for ``GET /health``.

Delivery: the newest alone, best effort. It expires by itself once no more is said.
"""

import msgspec
import redis

from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread
from schemas import topics
from schemas.dead_letters import DeadLetterRate

EXPIRES_AFTER_S = 150
"""A rate that lasts is said anew every minute."""


class DeadLetterRateWriter:
    """Writes the newest rate, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    """

    def __init__(self, url: str) -> None:
        self._newest: DeadLetterRate | None = None
        self._thread = WriterThread(url, "rate of dead letters", self._write)

    def put(self, rate: DeadLetterRate) -> None:
        """Have a rate written; return at once."""
        self._newest = rate
        self._thread.wake()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)

    def _write(self, client: redis.Redis) -> None:
        rate = self._newest
        if rate is None:
            return
        client.set(topics.DEAD_LETTER_RATE_KEY, msgspec.json.encode(rate), ex=EXPIRES_AFTER_S)
        if self._newest is rate:
            self._newest = None
