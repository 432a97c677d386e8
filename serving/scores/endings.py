"""The end of tasks that may not hear at once that they are to end."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.5
"""A cancellation may get lost: Python 3.11's ``wait_for`` drops one that comes with its result."""


async def end_all(tasks: "Iterable[asyncio.Future[Any]]", again_s: float = AGAIN_S) -> None:
    """Cancel tasks, again where that got lost, and return once all have ended, however.

    Parameters
    ----------
    again_s
        After this many seconds; longer than what the tasks themselves need to end.
    """
    every = set(tasks)
    left = {task for task in every if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
    for task in every:
        if not task.cancelled():
            task.exception()  # retrieved: nobody else waits for it
