"""Waiting for something that processes do, as long as these run."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.support.polling import pause

LOOK_S = 0.02


class Watched(Protocol):
    """A process that can end while it is waited for."""

    @property
    def running(self) -> bool: ...

    def tail(self) -> str:
        """Return the last that it said."""


def wait_while_running(
    done: Callable[[], bool],
    what: str,
    processes: Sequence[Watched],
    limit_s: float,
    failure: Callable[[str], Exception] = RuntimeError,
) -> None:
    """Wait until it is done, as long as all of the processes run.

    Parameters
    ----------
    failure
        Makes the exception from what is to be said.

    Raises
    ------
    Exception
        By ``failure``: a process has ended, or it took too long.
    """
    deadline_s = time.monotonic() + limit_s
    while not done():
        late = time.monotonic() > deadline_s
        stopped = [process for process in processes if late or not process.running]
        if stopped:
            state = "it took too long" if stopped[0].running else "it has ended"
            message = f"waited for {what} in vain, {state}:\n{stopped[0].tail()}"
            raise failure(message)
        pause(LOOK_S)
