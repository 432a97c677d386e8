"""Answers of Redis: awaited for a bounded time, and foreign entries counted instead of failing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError, ResponseError

from schemas.decoding import decode_or_none
from schemas.redis_errors import meaning_of
from serving.http.problems import RedisUnavailableError
from serving.scores.endings import end_all

READ_LIMIT_S = 2.0
# Where the loop is busy beyond measure an answer is due all the same.
MOST_S = 30.0
_SLICE_S = 0.1
_WARN_EVERY_S = 60.0

T = TypeVar("T")


class Answers:
    """Reads of Redis, each awaited for a bounded time; none outlives the end."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Future[Any]] = set()

    async def of(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what Redis answers within ``READ_LIMIT_S``.

        Only time counts in which the event loop could have noticed an answer: while a thousand
        requests keep it busy, the answer may lie in the socket for longer, and Redis is not to
        blame.

        Raises
        ------
        RedisUnavailableError
            No answer in time, or an error instead of it.
        """
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(read())
        self._under_way.add(reading)
        reading.add_done_callback(self._ended)
        begin_s = loop.time()
        waited_s = 0.0
        try:
            while waited_s < READ_LIMIT_S and loop.time() - begin_s < MOST_S:
                due_s = loop.time() + _SLICE_S
                done, _ = await asyncio.wait({reading}, timeout=_SLICE_S)
                if done:
                    return reading.result()
                if loop.time() - due_s < _SLICE_S:
                    waited_s += _SLICE_S
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(meaning_of(error)) from None
        finally:
            reading.cancel()
        cause = f"no answer within {READ_LIMIT_S:g} s"
        raise RedisUnavailableError(cause)

    async def end(self) -> None:
        """Return once no read is under way."""
        await end_all(self._under_way)

    def _ended(self, reading: "asyncio.Future[Any]") -> None:
        self._under_way.discard(reading)
        # Nobody may wait for it any more: its exception is retrieved here.
        if not reading.cancelled():
            reading.exception()


class ForeignEntries:
    """Passes over what is no message of ours: counted, and logged at most once a minute.

    Parameters
    ----------
    counter
        Labelled by the place where an entry was found.
    clock
        Monotonic seconds.
    """

    def __init__(self, counter: Counter, clock: Callable[[], float] = time.monotonic) -> None:
        self._counter = counter
        self._clock = clock
        self._warned_s: dict[str, float] = {}

    def decode(self, place: str, decode: Callable[[bytes], T], value: bytes | None) -> T | None:
        """Return the decoded message; None for none, and for bytes that are none."""
        message = decode_or_none(decode, value)
        if message is None and value is not None:
            self.note(place)
        return message

    async def of_right_type(self, place: str, command: Awaitable[Any]) -> Any:
        """Return a command's result; None where its key holds another type than it should."""
        try:
            return await command
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            self.note(place)
            return None

    def note(self, place: str) -> None:
        """Count an entry that was passed over."""
        self._counter.labels(place).inc()
        now_s = self._clock()
        if now_s - self._warned_s.get(place, float("-inf")) >= _WARN_EVERY_S:
            self._warned_s[place] = now_s
            structlog.get_logger().warning("foreign entry in Redis passed over", place=place)


def is_wrong_type(error: object) -> bool:
    """Return True for Redis' answer that a key holds another type than the command needs."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")
