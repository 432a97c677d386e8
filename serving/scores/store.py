"""Reads of the latest scores and their history from Redis; every read is bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from schemas import topics
from schemas.backfill import Backfill
from schemas.dead_letters import DeadLetterRate
from schemas.drift import DriftReport
from schemas.predictions import Prediction
from schemas.quality import QualityPoint
from serving.http.problems import RedisUnavailableError
from serving.scores.answers import Answers, ForeignEntries, is_wrong_type
from serving.scores.endings import end_all

MAX_CONNECTIONS = 32

T = TypeVar("T")

_backfill = msgspec.json.Decoder(Backfill).decode
_prediction = msgspec.json.Decoder(Prediction).decode
_dead_letter_rate = msgspec.json.Decoder(DeadLetterRate).decode
_drift_report = msgspec.json.Decoder(DriftReport).decode
_quality_point = msgspec.json.Decoder(QualityPoint).decode


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


class ScoreStore:
    """The scores that the pipeline left in Redis.

    Every method raises :class:`RedisUnavailableError` within some seconds where Redis is gone,
    stalls or refuses. Reads of the same key at the same time share one round trip, so a thousand
    readers of one symbol cost Redis what one does.
    """

    def __init__(self, client: redis.Redis, foreign: ForeignEntries) -> None:
        self._client = client
        self._foreign = foreign
        self._answers = Answers()
        self._flights: dict[str, asyncio.Future[Any]] = {}

    async def close(self) -> None:
        """End the reads under way, whose readers may have gone, and close all connections.

        A read that went on would open another connection, which nobody would close.
        """
        await end_all(self._flights.values())
        await self._answers.end()
        await self._client.aclose()

    async def ping(self) -> None:
        """Return once Redis has answered."""
        await self._answers.of(lambda: _awaited(self._client.ping()))

    async def told(self) -> dict[str, Any]:
        """Return Redis' answer to ``INFO``, by field; empty where it gives none."""
        try:
            return await self._answers.of(lambda: _awaited(self._client.info()))
        except RedisUnavailableError:  # an access rule, or a service without this command
            return {}

    async def latest(self, symbol: str) -> Prediction | None:
        """Return the newest prediction of a symbol, None where there is none."""
        return await self._shared(f"latest:{symbol}", lambda: self._read_latest(symbol))

    async def all_latest(self) -> list[Prediction]:
        """Return the newest prediction of every symbol, by name."""
        return await self._shared("all", self._read_all)

    async def history(self, symbol: str, limit: int) -> list[Prediction] | None:
        """Return up to ``limit`` sampled predictions, oldest first; None for an unknown symbol.

        What is older than the history comes from the past, which is thinner.
        """
        entries = await self._read_entries("history", topics.history_key(symbol), limit)
        if 0 < len(entries) < limit:
            older = f"({entries[0][0].decode()}"
            left = limit - len(entries)
            past = await self._read_entries("history", topics.past_key(symbol), left, older)
            entries = past + entries
        points = self._decoded("history", entries, _prediction)
        if not points and await self.latest(symbol) is None:
            return None
        return points

    async def quality(self, target: str, limit: int) -> list[QualityPoint]:
        """Return up to ``limit`` points of a target's live quality, oldest first."""
        entries = await self._read_entries("quality", topics.quality_key(target), limit)
        return self._decoded("quality", entries, _quality_point)

    async def drift(self, target: str) -> DriftReport | None:
        """Return the newest report about the drift of a target's models; None for none."""
        return await self._value("drift", topics.drift_key(target), _drift_report)

    async def dead_letter_rate(self) -> DeadLetterRate | None:
        """Return the newest rate of dead letters that was more than a few; None for none."""
        return await self._value("dead_letter_rate", topics.DEAD_LETTER_RATE_KEY, _dead_letter_rate)

    async def backfill(self, symbol: str) -> Backfill | None:
        """Return the bars of the hour before a symbol's first tick; None for none."""
        return await self._value("backfill", topics.backfill_key(symbol), _backfill)

    async def _value(self, place: str, key: str, decode: Callable[[bytes], T]) -> T | None:
        def read() -> Awaitable[Any]:
            return self._foreign.of_right_type(place, _awaited(self._client.get(key)))

        message = await self._answers.of(read)
        return None if message is None else self._foreign.decode(place, decode, message)

    async def _read_entries(
        self, place: str, key: str, limit: int, until: str = "+"
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Return the last entries of a stream, oldest first, with their ids."""

        def read() -> Awaitable[Any]:
            return self._foreign.of_right_type(
                place, _awaited(self._client.xrevrange(key, max=until, count=limit))
            )

        return list(reversed(await self._answers.of(read) or []))

    def _decoded(
        self,
        place: str,
        entries: Iterable[tuple[bytes, dict[bytes, bytes]]],
        decode: Callable[[bytes], T],
    ) -> list[T]:
        decoded = (
            self._foreign.decode(place, decode, fields.get(b"message", b""))
            for _id, fields in entries
        )
        return [point for point in decoded if point is not None]

    async def _read_latest(self, symbol: str) -> Prediction | None:
        key = topics.latest_key(symbol)

        def read() -> Awaitable[Any]:
            return self._foreign.of_right_type(
                "latest", _awaited(self._client.hget(key, "message"))
            )

        return self._foreign.decode("latest", _prediction, await self._answers.of(read))

    async def _read_all(self) -> list[Prediction]:
        messages = await self._answers.of(self._all_messages)
        found = (self._foreign.decode("latest", _prediction, message) for message in messages)
        return [prediction for prediction in found if prediction is not None]

    async def _all_messages(self) -> list[bytes | None]:
        names = await self._foreign.of_right_type(
            "symbols", _awaited(self._client.smembers(topics.SYMBOLS_KEY))
        )
        async with self._client.pipeline(transaction=False) as pipeline:
            for name in sorted(names or ()):
                # By bytes, since a foreign name need not be text.
                pipeline.hget(topics.LATEST_KEY_PREFIX.encode() + name, "message")
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if is_wrong_type(answer):
                self._foreign.note("latest")
            elif isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if not isinstance(answer, Exception)]

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
