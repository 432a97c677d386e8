"""The newest rows that were scored: what a new model has to score before it takes over."""

import threading
from collections import deque

import numpy as np

from flows.numeric.arrays import Float32

RECENT_ROWS = 512
"""Copied from each batch at most: some microseconds."""


class RecentRows:
    """Copies of the newest rows, by batch; safe to use from several threads.

    Parameters
    ----------
    size
        How many rows it keeps.
    """

    def __init__(self, size: int = RECENT_ROWS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._batches: deque[Float32] = deque()
        self._count = 0

    def add(self, values: Float32) -> None:
        """Keep a batch's newest rows, float32, shape (n, width)."""
        newest = values[-self._size :].copy()
        with self._lock:
            self._batches.append(newest)
            self._count += len(newest)
            while self._count - len(self._batches[0]) >= self._size:
                self._count -= len(self._batches.popleft())

    def copied(self) -> Float32 | None:
        """Return the rows, float32, shape (n, width), oldest first; None before the first one."""
        with self._lock:
            batches = list(self._batches)
        return np.concatenate(batches)[-self._size :] if batches else None
