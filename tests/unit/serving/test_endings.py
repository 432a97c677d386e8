"""Tasks that are to end."""

import asyncio

import pytest

from serving.scores.endings import end_all


def test_a_cancellation_that_gets_lost_is_repeated() -> None:
    async def deaf_once() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()  # as wait_for does with a result that comes just then

    async def run() -> asyncio.Task[None]:
        task = asyncio.create_task(deaf_once())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await end_all([task], 0.01)
        return task

    assert asyncio.run(run()).cancelled()


def test_how_tasks_have_ended_does_not_matter(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError

    async def run() -> list[bool]:
        tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(fail()))
        await end_all(tasks)
        await end_all([])
        return [task.done() for task in tasks]

    assert asyncio.run(run()) == [True, True, True]
    assert not caplog.records
