"""Pauses of scoring, measured by looking at a group's commits and at the log's ends."""

import threading
import time

from tests.proof.progress import Progress
from tests.proof.standstill import Standstill

_LOOK_S = 0.03


def look_at(progress: Progress, standstill: Standstill) -> dict[int, int]:
    """Look at a group's committed offsets, and return them."""
    offsets = progress.offsets()
    # The log's end is asked for after the commit: nothing came in between where they are the same.
    idle = progress.at_end(standstill.unmoved(offsets))
    standstill.look(time.monotonic(), offsets, idle)
    return offsets


class PauseMeter:
    """Looks at the commits all the time, and tells for how long each partition's stood still.

    A partition without input does not. What it could not look at is raised when it is asked.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._standstill = Standstill()
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="pauses", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Forget what was before."""
        self._standstill = Standstill()

    def pauses_s(self) -> dict[int, float]:
        """Return the longest pause of each partition since then, seconds."""
        if self._failed is not None:
            raise self._failed
        return dict(self._standstill.by_partition_s)

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()
        self._progress.close()

    def _run(self) -> None:
        try:
            while not self._stop.wait(_LOOK_S):
                look_at(self._progress, self._standstill)
        except Exception as error:  # raised in the thread that asks for the figures
            self._failed = error
