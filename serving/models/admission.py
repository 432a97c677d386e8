"""A bound on heavy requests: so many at once, one after the other aside, the rest turned away."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from serving.http.problems import ApiError

T = TypeVar("T")


class Admission:
    """Admits a bounded number of requests and does their work in a thread of its own.

    One thread, since the work holds the interpreter: more of them would slow down every other
    request, and none of these would be done sooner.

    Parameters
    ----------
    most
        Requests that may be under way, their bodies in memory.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._admitted = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="admitted")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises
        ------
        ApiError
            503 where all places are taken.
        """
        if self._admitted >= self._most:
            message = f"{self._most} requests of this kind are under way; try again"
            raise ApiError(503, "busy", message, headers={"Retry-After": "1"})
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns, done aside."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)
