"""The subscription to what the pipeline publishes, and a way to know that one has caught up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from schemas import topics

DEAD_S = 5.0
"""A subscription that does not answer a ping for so long is given up: what is published until the
next one stands is lost to the open streams, so that a busy machine is given time."""

_COMMAND_S = 2.0


class Channel:
    """One open subscription.

    Parameters
    ----------
    subscription
        redis-py's, subscribed already.
    take
        Called with each published message, in the order of Redis.
    heard
        Called after each sign of life.
    """

    def __init__(
        self, subscription: Any, take: Callable[[bytes], None], heard: Callable[[], None]
    ) -> None:
        self._subscription = subscription
        self._take = take
        self._heard = heard
        self._barriers: dict[bytes, asyncio.Future[None]] = {}
        self._count = 0

    async def listen(self) -> None:
        """Take messages until the connection fails.

        Raises
        ------
        redis.RedisError, OSError
            The connection ended.
        """
        while True:
            message = await self._subscription.get_message(timeout=1.0)
            if message is None:
                continue
            if message["type"] == "message":
                self._take(message["data"])
            elif message["type"] == "pong":
                barrier = self._barriers.get(message["data"])
                if barrier is not None and not barrier.done():
                    barrier.set_result(None)
            self._heard()

    async def barrier(self) -> None:
        """Return once everything has been taken that was published before this call.

        Redis answers a ping on the subscription's own connection, behind what it published there.

        Raises
        ------
        TimeoutError
            No answer: the connection is dead.
        """
        self._count += 1
        name = b"%d" % self._count
        self._barriers[name] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(DEAD_S):
                await self._subscription.ping(name.decode())
                await self._barriers[name]
        finally:
            del self._barriers[name]


@contextlib.asynccontextmanager
async def open_channel(
    url: str, take: Callable[[bytes], None], heard: Callable[[], None]
) -> AsyncIterator[Channel]:
    """Subscribe by a connection of its own.

    Raises
    ------
    redis.RedisError, OSError
        Redis cannot be reached.
    """
    client = redis.Redis.from_url(
        url,
        socket_connect_timeout=1.0,
        socket_timeout=_COMMAND_S,
        # redis-py connects anew before it raises: of two tasks that use one connection, one that
        # reads and one that pings, the second to do so would leave the first one's open.
        retry=Retry(NoBackoff(), 0, supported_errors=()),
    )
    try:
        subscription = client.pubsub(ignore_subscribe_messages=True)
        try:
            channel = topics.stream_channel(client.connection_pool.connection_kwargs)
            await subscription.subscribe(channel)
            yield Channel(subscription, take, heard)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()
