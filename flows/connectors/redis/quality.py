"""The history of live quality in Redis, beside the flow and never in its way.

Delivery: best effort. While Redis is away points wait, and the oldest are dropped where too many
do; one whose answer was lost with the connection is written again.
"""

import threading
from collections import deque
from collections.abc import Iterable

import msgspec
import redis
import structlog
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from schemas import topics
from schemas.quality import QualityPoint

HISTORY_LENGTH = 2000
ANSWER_LIMIT_S = 2.0
_QUEUED = 100
_RETRY_S = 1.0


class QualityWriter:
    """Appends points to a capped stream per target, from a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_LIMIT_S,
            socket_connect_timeout=ANSWER_LIMIT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._queue: deque[QualityPoint] = deque(maxlen=_QUEUED)
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run, name="quality-writer", daemon=True)
        self._thread.start()

    def put(self, points: Iterable[QualityPoint]) -> None:
        """Take points over; returns at once."""
        self._queue.extend(points)
        self._wakeup.set()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is queued, at most for ``timeout_s``, and end the thread."""
        self._stopping.set()
        self._wakeup.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        away = False
        while True:
            self._wakeup.wait()
            self._wakeup.clear()
            stopping = self._stopping.is_set()
            try:
                self._write()
            except (RedisError, OSError) as error:
                if not away:
                    self._log.warning("Redis is away, quality waits", cause=type(error).__name__)
                away = True
                self._stopping.wait(_RETRY_S)
                self._wakeup.set()
            else:
                away = False
            if stopping:
                self._client.close()
                return

    def _write(self) -> None:
        while self._queue:
            point = self._queue[0]
            self._client.xadd(
                topics.quality_key(point.target),
                {"message": msgspec.json.encode(point)},
                maxlen=HISTORY_LENGTH,
                approximate=True,
            )
            # A full queue may have dropped it meanwhile.
            if self._queue and self._queue[0] is point:
                self._queue.popleft()
