"""The subscription in a real Redis: where it is cut it ends, and leaves nothing open."""

import asyncio
import gc

import pytest
import redis
from redis.exceptions import RedisError

from serving.scores.channel import Channel, open_channel
from serving.scores.endings import end_all
from tests.support.embedded import Valkey


def test_a_subscription_that_is_cut_while_two_tasks_use_it_leaves_nothing_open(
    valkey: Valkey, database: redis.Redis
) -> None:
    """What is unclosed warns as it is collected, and a warning fails a test."""

    async def cut_one() -> None:
        async with open_channel(valkey.url, lambda _message: None, lambda: None) as channel:
            using = [asyncio.create_task(channel.listen()), asyncio.create_task(_ping(channel))]
            await asyncio.sleep(0.01)
            database.client_kill_filter(_type="pubsub")
            try:
                async with asyncio.timeout(30):
                    await asyncio.gather(*using)
            finally:
                await end_all(using, 0.1)

    async def run() -> None:
        for _ in range(40):
            with pytest.raises((RedisError, ConnectionError)):
                await cut_one()

    asyncio.run(run())
    gc.collect()
    assert database.client_list(_type="pubsub") == []


async def _ping(channel: Channel) -> None:
    while True:
        await channel.barrier()
        await asyncio.sleep(0)
