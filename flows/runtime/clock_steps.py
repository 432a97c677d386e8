"""End a flow whose host's clock was set back: its engine would wait until that time is over.

Bytewax decides by the wall clock when it looks at a source again. Set back by an hour, it looks at
none for an hour, and does not notice that it is asked to stop. The next run starts at once, where
this one has committed to.
"""

import threading
import time
from collections.abc import Callable

from flows.errors import ClockError

LEAST_STEP_S = 5.0
"""A smaller step costs less as a pause than as a start."""

_LOOK_S = 1.0


class ClockSteps:
    """Tells how far the wall clock was set back between two looks.

    Parameters
    ----------
    wall, monotonic
        The two clocks, seconds.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._difference_s = wall() - monotonic()

    def look(self) -> float:
        """Return by how many seconds the clock was set back since the last look; 0 for less."""
        before_s, self._difference_s = self._difference_s, self._wall() - self._monotonic()
        return max(before_s - self._difference_s, 0.0)


def end_when_set_back(on_step: Callable[[BaseException], object]) -> None:
    """Start the thread that watches the clock.

    Parameters
    ----------
    on_step
        Called with a :class:`ClockError` once.
    """
    steps = ClockSteps()

    def run() -> None:
        while True:
            time.sleep(_LOOK_S)
            back_s = steps.look()
            if back_s > LEAST_STEP_S:
                message = (
                    f"this host's clock was set back by {back_s:,.0f} s, and the engine would wait"
                    " for as long; start it again, and keep the clock right by NTP"
                )
                on_step(ClockError(message))
                return

    threading.Thread(target=run, name="clock-steps", daemon=True).start()
