"""The history of live quality in Redis.

Each process of ``flows.outcomes`` knows its own partitions. It leaves their windows in Redis, reads
those of the others, and appends a point of all of them.

Delivery: best effort. While Redis is away windows wait, and the oldest are dropped where too many
do; a point whose answer was lost with the connection is written again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
import redis

from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.quality import QualityPoint, QualityWindow

HISTORY_LENGTH = 2000
WINDOWS_TTL_S = 86_400
"""How long windows stay that no process writes any more; what they lie behind leaves them out."""
_QUEUED = 100

PointOf = Callable[[Sequence[QualityWindow], Sequence[QualityWindow]], QualityPoint]
"""Makes a point of the windows of this process, and of those in Redis."""

_DECODE = msgspec.json.Decoder(QualityWindow).decode


class QualityWriter:
    """Appends points to a capped stream per target, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    point_of
        See :data:`PointOf`.
    """

    def __init__(self, url: str, point_of: PointOf) -> None:
        self._point_of = point_of
        self._queue: deque[list[QualityWindow]] = deque(maxlen=_QUEUED)
        self._thread = WriterThread(url, "quality", self._write)

    def put(self, targets: Iterable[list[QualityWindow]]) -> None:
        """Queue the windows of this process, of each target some; return at once."""
        self._queue.extend(windows for windows in targets if windows)
        self._thread.wake()

    @property
    def is_away(self) -> bool:
        """Whether Redis did not take the last write."""
        return self._thread.is_away

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is queued, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)

    def _write(self, client: redis.Redis) -> None:
        while self._queue:
            own = self._queue[0]
            _make_room(client, topics.quality_windows_key(own[0].target), b"hash")
            point = self._point_of(own, self._exchange(client, own))
            _make_room(client, topics.quality_key(point.target), b"stream")
            client.xadd(
                topics.quality_key(point.target),
                {"message": msgspec.json.encode(point)},
                maxlen=HISTORY_LENGTH,
                approximate=True,
            )
            # A full queue may have dropped it meanwhile.
            if self._queue and self._queue[0] is own:
                self._queue.popleft()

    def _exchange(self, client: redis.Redis, own: list[QualityWindow]) -> list[QualityWindow]:
        """Leave the windows of this process in Redis, and return all that are there."""
        key = topics.quality_windows_key(own[0].target)
        entries = {str(each.partition): msgspec.json.encode(each) for each in own}
        with client.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, mapping=entries)  # type: ignore[arg-type]
            pipeline.expire(key, WINDOWS_TTL_S)
            pipeline.hgetall(key)
            found = pipeline.execute()[-1]
        decoded = {field: decode_or_none(_DECODE, value) for field, value in found.items()}
        return [
            window
            for field, window in decoded.items()
            if window is not None and field == b"%d" % window.partition
        ]


def _make_room(client: redis.Redis, key: str, kind: bytes) -> None:
    """Remove a key of a foreign type, which would stand in the way for ever."""
    if client.type(key) not in (b"none", kind):
        client.delete(key)
