"""The newest rows that were scored: what a new model has to score before it takes over."""

import threading

import numpy as np

from flows.numeric.arrays import Float32

RECENT_ROWS = 1024


class RecentRows:
    """A ring of the newest rows; safe to use from several threads.

    Parameters
    ----------
    size
        How many rows it keeps.
    """

    def __init__(self, size: int = RECENT_ROWS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._rows: Float32 | None = None
        self._next = 0
        self._full = False

    def add(self, values: Float32) -> None:
        """Keep a batch's newest rows, float32, shape (n, width); the width never changes."""
        newest = values[-self._size :]
        with self._lock:
            if self._rows is None:
                self._rows = np.empty((self._size, values.shape[1]), dtype=np.float32)
            head = min(len(newest), self._size - self._next)
            self._rows[self._next : self._next + head] = newest[:head]
            self._rows[: len(newest) - head] = newest[head:]
            self._full |= self._next + len(newest) >= self._size
            self._next = (self._next + len(newest)) % self._size

    def copied(self) -> Float32 | None:
        """Return the rows, float32, shape (n, width), in no order; None before the first one."""
        with self._lock:
            if self._rows is None:
                return None
            return self._rows[: self._size if self._full else self._next].copy()
