"""A client's queue: bounded, in order, and honest about what it lost."""

import asyncio
import contextlib
from unittest.mock import MagicMock

import structlog
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from serving.scores import stream, subscriber
from serving.scores.subscriber import Subscriber


@given(st.lists(st.integers(1, 600_000), max_size=20))
def test_queue_keeps_the_newest_within_its_bound_and_counts_the_rest(sizes):
    async def run() -> None:
        client = Subscriber(None)
        chunks = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
        for chunk in chunks:
            client.offer(chunk)
        taken = await client.take(0)
        kept = len(chunks) - client.dropped
        assert taken == b"".join(chunks[client.dropped :])
        assert len(taken) <= subscriber.QUEUE_BYTES or kept == 1

    asyncio.run(run())


def test_silence_ends_the_wait():
    assert asyncio.run(_take_from(Subscriber(None))) == b""


def test_closing_wakes_the_reader():
    async def run() -> bytes:
        client = Subscriber(None)
        waiting = asyncio.create_task(client.take(60))
        await asyncio.sleep(0)
        client.close()
        return await waiting

    assert asyncio.run(run()) == b""


def test_a_redis_that_lets_in_and_refuses_what_follows_is_one_interruption(monkeypatch):
    subscriptions = []
    enough = asyncio.Event()

    @contextlib.asynccontextmanager
    async def busy(*_arguments):
        subscriptions.append(0)
        if len(subscriptions) == 4:
            enough.set()
        yield MagicMock(listen=refuse)

    async def refuse() -> None:
        busy_text = "BUSY a script runs"
        raise ResponseError(busy_text)

    async def run() -> None:
        broadcaster = stream.Broadcaster("", MagicMock(follow=_for_ever), MagicMock(), MagicMock())
        broadcaster.start()
        await enough.wait()
        await broadcaster.stop()

    monkeypatch.setattr(stream, "open_channel", busy)
    monkeypatch.setattr(stream, "RECONNECT_S", (0.001, 0.01))
    with structlog.testing.capture_logs() as lines:
        asyncio.run(run())
    assert [line["event"] for line in lines] == ["score stream interrupted"]
    assert "another client's script" in lines[0]["cause"]


def test_a_channel_that_fails_to_close_does_not_outlive_the_stop(monkeypatch):
    opened = asyncio.Event()

    @contextlib.asynccontextmanager
    async def stubborn(*_arguments):
        opened.set()
        try:
            yield MagicMock(listen=lambda: asyncio.sleep(3600))
        finally:
            raise TimeoutError  # as redis-py does on a machine too busy to close in time

    async def run() -> None:
        broadcaster = stream.Broadcaster("", MagicMock(follow=_for_ever), MagicMock(), MagicMock())
        broadcaster.start()
        await opened.wait()
        async with asyncio.timeout(30):
            await broadcaster.stop()

    monkeypatch.setattr(stream, "open_channel", stubborn)
    monkeypatch.setattr(stream, "RECONNECT_S", (0.001, 0.01))
    asyncio.run(run())


async def _for_ever(_barrier: object) -> None:
    await asyncio.sleep(3600)


async def _take_from(client: Subscriber) -> bytes:
    return await client.take(0.001)
