"""Latencies in a few numbers."""

from collections.abc import Sequence

import numpy as np

from flows.numeric.arrays import Int64
from flows.numeric.time import NS_PER_MS

QUANTILES = (50, 95, 99)

Ints = Int64


def summary_ms(durations_ns: Ints | Sequence[int]) -> dict[str, float]:
    """Return p50, p95, p99 and the greatest in milliseconds.

    A percentile is the least of the values that so many per cent of all do not exceed: one that was
    measured, not one between two.

    Parameters
    ----------
    durations_ns
        Nanoseconds, int64, at least one.
    """
    values = np.asarray(durations_ns, np.int64)
    if len(values) == 0:
        message = "nothing was measured"
        raise ValueError(message)
    found = np.percentile(values, QUANTILES, method="inverted_cdf")
    named = {f"p{quantile}_ms": value for quantile, value in zip(QUANTILES, found, strict=True)}
    return {name: _ms(value) for name, value in {**named, "max_ms": values.max()}.items()}


def ratio(figure: float, limit: float) -> float | None:
    """Return figure / limit, rounded; None where the limit is 0."""
    return round(figure / limit, 3) if limit else None


def _ms(value_ns: float) -> float:
    return round(float(value_ns) / NS_PER_MS, 3)
