"""Storage of all symbols' rings of one kind: one pair of arrays, cut into regions.

A region's size is a power of two, so that a ring's position is an index masked by the size - 1.
"""

from typing import Any

import numpy as np

from flows.host.memory import own_pages
from flows.numeric.arrays import Float64, Int64

LARGE_BYTES = 1 << 16
"""Arrays from here on have pages of their own."""


class Buffers:
    """Rows of integers and floats; each symbol's ring is a region of them.

    Attributes
    ----------
    ints
        int64, shape (rows, number of integer columns).
    floats
        float64, shape (rows, number of float columns).
    """

    def __init__(self, int_columns: int, float_columns: int, rows: int = 0) -> None:
        self.ints: Int64 = _rows_of(rows, int_columns, np.int64)
        self.floats: Float64 = _rows_of(rows, float_columns, np.float64)
        self._top = 0
        self._free: dict[int, list[int]] = {}
        self._free_rows = 0

    @property
    def mostly_free(self) -> bool:
        """Whether more than two thirds of the rows, and many, are in no region."""
        return self._free_rows > max(2 * (self._top - self._free_rows), 1 << 14)

    def grows_in_vain(self, capacity: int) -> bool:
        """Whether the arrays have to grow for such a region although a quarter of them is free.

        As symbols' rings grow, each leaves regions behind that are too small for all others.
        """
        fits = self._free.get(capacity) or self._top + capacity <= len(self.floats)
        return not fits and 4 * self._free_rows > self._top

    def allocate(self, capacity: int) -> int:
        """Return the first row of a region of ``capacity`` rows; its contents are undefined."""
        free = self._free.get(capacity)
        if free:
            self._free_rows -= capacity
            return free.pop()
        start = self._top
        self._top += capacity
        if self._top > len(self.ints):
            rows = max(2 * len(self.ints), self._top)
            # Untouched pages of the new arrays cost nothing yet.
            ints = _rows_of(rows, self.ints.shape[1], np.int64)
            floats = _rows_of(rows, self.floats.shape[1], np.float64)
            ints[:start] = self.ints[:start]
            floats[:start] = self.floats[:start]
            self.ints, self.floats = ints, floats
        return start

    def free(self, start: int, capacity: int) -> None:
        """Mark a region as free to be allocated again."""
        self._free.setdefault(capacity, []).append(start)
        self._free_rows += capacity

    def copy_ring(
        self, start: int, capacity: int, new_start: int, new_capacity: int, tail: int, head: int
    ) -> None:
        """Copy the ring's elements ``tail`` to ``head - 1`` to another region."""
        k = tail
        while k < head:
            source, target = k & (capacity - 1), k & (new_capacity - 1)
            rows = min(head - k, capacity - source, new_capacity - target)
            source, target = start + source, new_start + target
            self.ints[target : target + rows] = self.ints[source : source + rows]
            self.floats[target : target + rows] = self.floats[source : source + rows]
            k += rows

    def compacted(
        self, starts: Int64, capacities: Int64, spare_rows: int = 0
    ) -> "tuple[Buffers, Int64]":
        """Return new buffers that hold just these regions, and the regions' new first rows."""
        rows = int(capacities.sum()) + spare_rows
        packed = Buffers(self.ints.shape[1], self.floats.shape[1], rows)
        moved = np.empty_like(starts)
        for i, (start, capacity) in enumerate(zip(starts, capacities, strict=True)):
            moved[i] = new = packed.allocate(int(capacity))
            packed.ints[new : new + capacity] = self.ints[start : start + capacity]
            packed.floats[new : new + capacity] = self.floats[start : start + capacity]
        return packed, moved


def _rows_of(rows: int, columns: int, dtype: type[np.generic]) -> Any:
    """Return an array of shape (rows, columns); its contents are undefined."""
    size = rows * columns * np.dtype(dtype).itemsize
    if size < LARGE_BYTES:
        return np.empty((rows, columns), dtype)
    return np.frombuffer(own_pages(size), dtype).reshape(rows, columns)
