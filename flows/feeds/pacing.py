"""How often a feed is read, so that its ticks reach the broker in batches of a fair size."""

import time
from collections.abc import Callable

_S_PER_US = 1e-6


class Pacing:
    """Space the turns of a reader: each wait is longer than the one before by a fixed step.

    An embedded broker looks at every batch that it holds whenever it is asked for new ones. With
    a wait of s for each of the n batches before, n grows with the square root of time, and what the
    broker spends stays a constant share of a core: its cost of one batch, divided by s.

    Parameters
    ----------
    step_us
        Wait for each turn so far, microseconds; 0 for no wait at all.
    clock
        Seconds, monotonic.
    """

    def __init__(self, step_us: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._step_s = step_us * _S_PER_US
        self._clock = clock
        self._turns = 0
        self._next_s = clock()

    @property
    def wait_s(self) -> float:
        """Seconds until the next turn, 0 if it is due."""
        return max(self._next_s - self._clock(), 0.0)

    def note_turn(self) -> None:
        """Count a turn that was taken just now."""
        self._turns += 1
        self._next_s = self._clock() + self._turns * self._step_s
