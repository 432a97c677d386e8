"""A client's queue: bounded, in order, and honest about what it lost."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from serving.scores import subscriber
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


async def _take_from(client: Subscriber) -> bytes:
    return await client.take(0.001)
