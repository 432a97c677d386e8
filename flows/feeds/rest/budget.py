"""Keep a venue's request limit, and wait when it asks for that."""

import random
import threading
import time
from collections.abc import Callable

from flows.feeds.retry_after import LONGEST_PAUSE_S

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
_JITTER = 0.1


class Budget:
    """Spread requests so that their weight stays within a rate. Safe for use by several threads.

    Parameters
    ----------
    per_s, burst
        Weight a second, and how much of it may be spent at once.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst_s = burst / per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._spent_until_s = clock() - self._burst_s
        self._held_until_s = 0.0

    def reserve(self, weight: float) -> float:
        """Take some weight and return the seconds until it may be spent."""
        with self._lock:
            now_s = self._clock()
            start_s = max(self._spent_until_s, now_s - self._burst_s)
            self._spent_until_s = start_s + weight / self._per_s
            return max(self._spent_until_s - now_s, self._held_until_s - now_s, 0.0)

    def hold(self, seconds: float) -> None:
        """Spend nothing for some seconds."""
        with self._lock:
            self._held_until_s = max(self._held_until_s, self._clock() + seconds)

    @property
    def held_s(self) -> float:
        """Seconds for which nothing may be spent, 0 for none."""
        with self._lock:
            return max(self._held_until_s - self._clock(), 0.0)


def wait_s(
    failures: int, asked_s: float | None, draw: Callable[[], float] = random.random
) -> float:
    """Return the seconds to wait after some failures in a row.

    Parameters
    ----------
    failures
        How many, at least 1: the wait doubles with each, and a random half of it is left out.
    asked_s
        What the venue asks for; the wait is this and a little more then.
    draw
        Returns a random number in [0, 1).
    """
    if asked_s is not None:
        return min(asked_s, LONGEST_PAUSE_S) * (1 + _JITTER * draw())
    longest_s = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 30), LONGEST_WAIT_S)
    return longest_s * (0.5 + 0.5 * draw())
