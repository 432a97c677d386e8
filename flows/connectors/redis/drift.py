"""The newest report about drift of each target in Redis, for the API and for the next start.

Delivery: the newest alone, best effort.
"""

import contextlib

import msgspec
import redis

from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread, connect
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.drift import DriftReport

EXPIRES_AFTER_S = 86_400
"""A report that nobody renews tells of a market of the day before."""

_DECODE = msgspec.json.Decoder(DriftReport).decode


class DriftWriter:
    """Writes the newest report of each target, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._newest: dict[str, DriftReport] = {}
        self._thread = WriterThread(url, "drift", self._write)

    def put(self, report: DriftReport) -> None:
        """Have a report written; return at once."""
        self._newest[report.target] = report
        self._thread.wake()

    def read(self, target: str) -> DriftReport | None:
        """Return the report that an earlier run left; None without one, or without Redis."""
        with contextlib.suppress(redis.RedisError, OSError), connect(self._url) as client:
            found = client.get(topics.drift_key(target))
            return decode_or_none(_DECODE, found if isinstance(found, bytes) else None)
        return None

    @property
    def is_away(self) -> bool:
        """Whether Redis did not take the last write."""
        return self._thread.is_away

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)

    def _write(self, client: redis.Redis) -> None:
        for target, report in list(self._newest.items()):
            key = topics.drift_key(target)
            client.set(key, msgspec.json.encode(report), ex=EXPIRES_AFTER_S)
            if self._newest.get(target) is report:
                del self._newest[target]
