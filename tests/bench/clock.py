"""One clock for times that were noted on two."""

import time

_LOOKS = 9


def wall_minus_monotonic_ns() -> int:
    """Return what has to be taken from a wall clock's time to compare it with a monotonic one.

    Both are the whole machine's, so it holds for what other processes noted; nanoseconds.
    """
    looks = []
    for _ in range(_LOOKS):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        looks.append((after - before, wall - (before + after) // 2))
    return min(looks)[1]
