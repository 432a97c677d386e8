"""Reads of the latest scores and their history from Redis; every read is bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import structlog
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from schemas import topics
from schemas.predictions import Prediction
from schemas.quality import QualityPoint
from serving.http.problems import RedisUnavailableError

READ_TIMEOUT_S = 2.0
# A limit that fires later than this was delayed by a busy loop, not by a silent Redis.
LATE_S = 0.2
ATTEMPTS = 5
MAX_CONNECTIONS = 32

T = TypeVar("T")


def connect(url: str) -> redis.Redis:
    """Return a client with a bounded pool; connects at first use.

    Raises
    ------
    ValueError
        Where the address is not a Redis URL.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        # Every read is bounded as a whole, waiting for a connection included.
        timeout=None,
        socket_connect_timeout=None,
        socket_timeout=None,
        # One retry: a pooled connection may have died with a Redis that is back by now.
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )
    return redis.Redis.from_pool(pool)


async def _answer(read: Callable[[], Awaitable[T]]) -> T:
    """Return what Redis answers within the limit.

    A loop that is busy with a thousand requests can let the limit pass while the answer lies in
    the socket. The limit then fires late as well, and the read is repeated.
    """
    loop = asyncio.get_running_loop()
    for _attempt in range(ATTEMPTS):
        due = loop.time() + READ_TIMEOUT_S
        try:
            async with asyncio.timeout_at(due):
                return await read()
        except TimeoutError:
            if loop.time() - due < LATE_S:
                break
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(type(error).__name__) from None
    cause = f"no answer within {READ_TIMEOUT_S:g} s"
    raise RedisUnavailableError(cause)


class ScoreStore:
    """The scores that the pipeline left in Redis.

    Every method raises :class:`RedisUnavailableError` within some seconds where Redis is gone,
    stalls or refuses. Reads of the same key at the same time share one round trip, so a thousand
    readers of one symbol cost Redis what one does.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._flights: dict[str, asyncio.Future[Any]] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Return once Redis has answered."""
        await _answer(lambda: _awaited(self._client.ping()))

    async def latest(self, symbol: str) -> Prediction | None:
        """Return the newest prediction of a symbol, None where there is none."""
        return await self._shared(f"latest:{symbol}", lambda: self._read_latest(symbol))

    async def all_latest(self) -> list[Prediction]:
        """Return the newest prediction of every symbol, by name."""
        return await self._shared("all", self._read_all)

    async def history(self, symbol: str, limit: int) -> list[Prediction] | None:
        """Return up to ``limit`` sampled predictions, oldest first; None for an unknown symbol."""
        key = topics.history_key(symbol)
        entries = await _answer(lambda: _awaited(self._client.xrevrange(key, count=limit)))
        points = _decode_entries(entries, Prediction)
        if not points and await self.latest(symbol) is None:
            return None
        return points

    async def quality(self, target: str, limit: int) -> list[QualityPoint]:
        """Return up to ``limit`` points of a target's live quality, oldest first."""
        key = topics.quality_key(target)
        entries = await _answer(lambda: _awaited(self._client.xrevrange(key, count=limit)))
        return _decode_entries(entries, QualityPoint)

    async def _read_latest(self, symbol: str) -> Prediction | None:
        key = topics.latest_key(symbol)
        message = await _answer(lambda: _awaited(self._client.hget(key, "message")))
        return _decode(message, Prediction)

    async def _read_all(self) -> list[Prediction]:
        messages = await _answer(self._all_messages)
        found = (_decode(message, Prediction) for message in messages)
        return [prediction for prediction in found if prediction is not None]

    async def _all_messages(self) -> list[bytes | None]:
        names = await _awaited(self._client.smembers(topics.SYMBOLS_KEY))
        async with self._client.pipeline(transaction=False) as pipeline:
            for name in sorted(names):
                pipeline.hget(topics.latest_key(name.decode("utf-8", "replace")), "message")
            messages: list[bytes | None] = await pipeline.execute()
        return messages

    async def _shared(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(read())
            self._flights[key] = flight
            flight.add_done_callback(lambda _done: self._flights.pop(key, None))
            # All readers may have hung up when it fails: its exception is then retrieved here.
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A reader that hangs up must not cancel the read of the others.
        result: T = await asyncio.shield(flight)
        return result


async def _awaited(value: Any) -> Any:
    # redis-py types its commands as "value or awaitable" for both of its clients.
    return await value


def _decode(message: bytes | None, kind: type[T]) -> T | None:
    if message is None:
        return None
    try:
        return msgspec.json.decode(message, type=kind)
    except msgspec.DecodeError as error:
        structlog.get_logger().warning("unreadable entry in Redis", cause=str(error))
        return None


def _decode_entries(entries: Any, kind: type[T]) -> list[T]:
    decoded = (_decode(fields.get(b"message"), kind) for _id, fields in reversed(entries or []))
    return [point for point in decoded if point is not None]
