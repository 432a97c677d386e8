"""Say in the log that more symbols have ticks than a partition remembers, at most once a minute."""

import threading
import time
from collections.abc import Callable

import structlog

PERIOD_S = 60.0


class CrowdingWatch:
    """Counts symbols whose memory ended for others. Safe for use by several threads.

    Parameters
    ----------
    max_symbols
        How many a partition remembers.
    clock
        Seconds, monotonic.
    """

    def __init__(self, max_symbols: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_symbols = max_symbols
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._said_s: float | None = None

    def note(self, count: int) -> None:
        """Add symbols that were forgotten for others."""
        with self._lock:
            self._count += count
            now_s = self._clock()
            if self._said_s is not None and now_s - self._said_s < PERIOD_S:
                return
            self._said_s = now_s
            count, self._count = self._count, 0
        structlog.get_logger().warning(
            "more symbols than a partition remembers: those silent for longest begin anew",
            forgotten=count,
            max_symbols=self._max_symbols,
            cure="raise VOLTICK_MAX_SYMBOLS, add partitions, or list VOLTICK_ALLOWED_SYMBOLS",
        )
