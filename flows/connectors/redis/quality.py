"""The history of live quality in Redis.

Delivery: best effort. While Redis is away points wait, and the oldest are dropped where too many
do; one whose answer was lost with the connection is written again.
"""

from collections import deque
from collections.abc import Iterable

import msgspec
import redis

from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread
from schemas import topics
from schemas.quality import QualityPoint

HISTORY_LENGTH = 2000
_QUEUED = 100


class QualityWriter:
    """Appends points to a capped stream per target, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    """

    def __init__(self, url: str) -> None:
        self._queue: deque[QualityPoint] = deque(maxlen=_QUEUED)
        self._thread = WriterThread(url, "quality", self._write)

    def put(self, points: Iterable[QualityPoint]) -> None:
        """Queue points; return at once."""
        self._queue.extend(points)
        self._thread.wake()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is queued, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)

    def _write(self, client: redis.Redis) -> None:
        while self._queue:
            point = self._queue[0]
            client.xadd(
                topics.quality_key(point.target),
                {"message": msgspec.json.encode(point)},
                maxlen=HISTORY_LENGTH,
                approximate=True,
            )
            # A full queue may have dropped it meanwhile.
            if self._queue and self._queue[0] is point:
                self._queue.popleft()
