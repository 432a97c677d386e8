"""Reads of a real Redis: those that are under way at the stop end with it."""

import asyncio
import contextlib
import gc

import redis
from prometheus_client import CollectorRegistry, Counter
from redis import asyncio as redis_asyncio

from schemas import topics
from serving.scores.answers import ForeignEntries
from serving.scores.store import ScoreStore
from tests.support.embedded import Valkey

ROUNDS = 40
STEP_S = 0.000_1


def test_a_read_whose_reader_has_gone_opens_no_connection_after_the_stop(
    valkey: Valkey, database: redis.Redis
) -> None:
    """What is unclosed warns as it is collected, and a warning fails a test."""
    database.sadd(topics.SYMBOLS_KEY, "BTC-USD")
    counter = Counter("foreign", "Entries.", ("place",), registry=CollectorRegistry())

    async def stop_after(pause_s: float) -> None:
        client = redis_asyncio.Redis.from_url(valkey.url)
        store = ScoreStore(client, ForeignEntries(counter))
        reader = asyncio.create_task(store.all_latest())
        await asyncio.sleep(pause_s)
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
        await store.close()

    async def run() -> list[dict[str, str]]:
        for number in range(ROUNDS):
            await stop_after(number * STEP_S)
        await asyncio.sleep(0.2)  # for what would go on
        left: list[dict[str, str]] = await asyncio.to_thread(database.client_list)
        return left

    left = asyncio.run(run())
    gc.collect()
    assert len(left) == 1  # the test's own
