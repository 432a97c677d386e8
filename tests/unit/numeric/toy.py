"""A kernel that is compiled in a second."""

import sys
import time
from typing import NamedTuple

import numpy as np

from flows.numeric import arithmetic
from flows.numeric.arithmetic import quotient
from flows.numeric.compiled import Kernel, inlined


class Columns(NamedTuple):
    """Numbers, and one place for the result."""

    values: np.ndarray
    result: np.ndarray


@inlined
def doubled(value: float) -> float:
    """Return twice the value."""
    return 2.0 * value


def add(columns: Columns, divisor: int) -> int:
    """Write the sum of the doubled values by the divisor; return how many there are."""
    total = 0.0
    for i in range(len(columns.values)):
        total += doubled(columns.values[i])
    columns.result[0] = quotient(total, divisor)
    return len(columns.values)


def example() -> tuple[Columns, int]:
    """Return arguments of the kernel's types."""
    return Columns(np.zeros(0), np.zeros(0)), 0


def toy_kernel() -> Kernel:
    """Return a new kernel, which has nothing compiled or loaded yet."""
    return Kernel(f"{__name__}:toy_kernel", add, example, (arithmetic, sys.modules[__name__]))


def broken_kernel() -> Kernel:
    """Return a kernel that cannot be compiled."""
    return Kernel(f"{__name__}:broken_kernel", add, lambda: (Columns("a", "b"), 0), ())


def endless_kernel() -> Kernel:
    """Never return."""
    while True:
        time.sleep(60)
