"""How far served features have moved from those a model was trained on."""

import math
from collections.abc import Sequence

import numpy as np

from flows.numeric.arrays import Float64
from schemas.models import FeatureReference

MIN_ROWS = 200
"""With fewer rows the index is noise."""

_FLOOR = 1e-4


def population_stability(reference: FeatureReference, values: Float64) -> float | None:
    """Return the population stability index of values against a training histogram.

    The sum over bins of ``(p - q) ln(p / q)``, undefined values as a bin of their own; values
    beyond the edges count to the outer bins. Below 0.1 hardly anything has moved, above 0.25 much.

    Returns
    -------
    None for fewer than ``MIN_ROWS`` values.
    """
    if len(values) < MIN_ROWS or len(reference.edges) < 2:
        return None
    known = values[~np.isnan(values)]
    inside = np.clip(known, reference.edges[0], reference.edges[-1])
    found = np.histogram(inside, reference.edges)[0].tolist()
    expected = _shares([*reference.counts, reference.undefined])
    actual = _shares([*found, len(values) - len(known)])
    pairs = zip(expected, actual, strict=True)
    return sum((p - q) * math.log(p / q) for q, p in pairs)


def _shares(counts: Sequence[int]) -> list[float]:
    """Return each bin's share, never so small that its logarithm decides everything."""
    total = sum(counts)
    return [max(count / total, _FLOOR) if total else _FLOOR for count in counts]
