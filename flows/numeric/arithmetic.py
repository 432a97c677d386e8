"""Arithmetic that compiled rooms share."""

import math

from flows.numeric.compiled import inlined

NAN = math.nan
SERIES_LIMIT = 0.01
"""Below this |z| the series of ``log_ratio`` is exact to double precision."""


@inlined
def log_ratio(before: float, after: float) -> float:
    """Return log(after / before) of two positive numbers, to the last bits for tiny moves too.

    Near 1 by the series 2 artanh(z), z = (after - before) / (after + before): the difference of
    close numbers is exact, while the logarithm of their rounded quotient is not.
    """
    z = (after - before) / (after + before)
    if -SERIES_LIMIT < z < SERIES_LIMIT:
        q = z * z
        return 2.0 * z * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q / 9.0))))
    share = after / before
    # Python has no logarithm of a quotient that was too small for a double.
    return math.log(share) if share > 0.0 else -math.inf


@inlined
def quotient(a: float, b: float) -> float:
    """Return a / b, NaN where b is zero: Python would raise there."""
    return a / b if b != 0.0 else NAN
