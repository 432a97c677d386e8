"""Say in the log that dead letters are more than a few, by reason and at most once a minute."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from schemas.dead_letters import DeadLetterRate

PERIOD_S = 60.0
FEW = 5
"""So many in a minute are ordinary: a venue's odd message, an operator's try."""

Publish = Callable[[DeadLetterRate], None]


class DeadLetterWatch:
    """Counts the dead letters of all partitions of a process. Safe for use by several threads.

    Parameters
    ----------
    publish
        Called with each rate that is above a few; must be quick.
    clock
        Seconds, monotonic.
    """

    def __init__(self, publish: Publish, clock: Callable[[], float] = time.monotonic) -> None:
        self._publish = publish
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._since_s = clock()
        self._said_s: float | None = None

    def note(self, counts: Mapping[str, int]) -> None:
        """Add dead letters by reason; warn where there are more than a few in a minute."""
        rate = self._add(counts)
        if rate is None:
            return
        structlog.get_logger().warning(
            "many dead letters; see the topic dead.letters",
            **dict(sorted(rate.counts.items())),
            seconds=round(rate.seconds, 1),
        )
        self._publish(rate)

    def _add(self, counts: Mapping[str, int]) -> DeadLetterRate | None:
        """Return the rate to be said now, if any."""
        with self._lock:
            now_s = self._clock()
            waiting = self._said_s is not None and now_s - self._said_s < PERIOD_S
            if not waiting and now_s - self._since_s >= PERIOD_S and self._counts.total() <= FEW:
                self._counts.clear()
                self._since_s = now_s
            self._counts.update(counts)
            if waiting or self._counts.total() <= FEW:
                return None
            rate = DeadLetterRate(seconds=now_s - self._since_s, counts=dict(self._counts))
            self._counts.clear()
            self._since_s = self._said_s = now_s
            return rate
