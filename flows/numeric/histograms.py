"""How values compare with a training histogram: PSI, KS, and the share beyond all it has seen.

Values become counts first. Counts of several batches or minutes add up, so an hour costs no more
memory than a minute.
"""

import math
from collections.abc import Sequence

import numpy as np

from flows.numeric.arrays import Float64, Int64
from schemas.models import FeatureReference

MIN_ROWS = 200
"""With fewer rows the figures are noise."""

_FLOOR = 1e-4


def bin_counts(reference: FeatureReference, values: Float64) -> Int64:
    """Count values by a reference's bins.

    Parameters
    ----------
    values
        float64, shape (n,); undefined is NaN.

    Returns
    -------
    int64, shape (bins + 2,): the bins, those beyond the edges in the outer ones; undefined values;
    and once more those beyond the edges.
    """
    edges = np.asarray(reference.edges)
    known = values[~np.isnan(values)]
    inside = np.clip(known, edges[0], edges[-1])
    found = np.histogram(inside, edges)[0]
    beyond = int(np.count_nonzero(inside != known))
    return np.append(found, [len(values) - len(known), beyond]).astype(np.int64)


def stability_index(reference: FeatureReference, counts: Int64) -> float | None:
    """Return the population stability index (PSI) of counted values against the training.

    The sum over bins of ``(p - q) ln(p / q)``, undefined values as a bin of their own. Below 0.1
    hardly anything has moved, above 0.25 much.

    Returns
    -------
    None for fewer than ``MIN_ROWS`` values.
    """
    found = counts[:-1].tolist()
    if sum(found) < MIN_ROWS:
        return None
    expected = _shares([*reference.counts, reference.undefined])
    actual = _shares(found)
    pairs = zip(expected, actual, strict=True)
    return sum((p - q) * math.log(p / q) for q, p in pairs)


def kolmogorov_smirnov(reference: FeatureReference, counts: Int64) -> float | None:
    """Return the greatest distance of the two distributions at the reference's edges, in [0, 1].

    Undefined values are left out. Within a bin the distance may be greater: this is a lower bound.

    Returns
    -------
    None for fewer than ``MIN_ROWS`` defined values, or a reference without any.
    """
    found, expected = counts[:-2], np.asarray(reference.counts)
    if found.sum() < MIN_ROWS or expected.sum() == 0:
        return None
    distance = np.cumsum(found) / found.sum() - np.cumsum(expected) / expected.sum()
    return float(np.abs(distance).max())


def share_beyond(counts: Int64) -> float | None:
    """Return the share of defined values that lie beyond all that the training has seen.

    Returns
    -------
    None for fewer than ``MIN_ROWS`` defined values.
    """
    defined = int(counts[:-2].sum())
    return int(counts[-1]) / defined if defined >= MIN_ROWS else None


def population_stability(reference: FeatureReference, values: Float64) -> float | None:
    """Return the stability index of values, float64 of shape (n,), against the training."""
    if len(reference.edges) < 2:
        return None
    return stability_index(reference, bin_counts(reference, values))


def _shares(counts: Sequence[int]) -> list[float]:
    """Return each bin's share, never so small that its logarithm decides everything."""
    total = sum(counts)
    return [max(count / total, _FLOOR) if total else _FLOOR for count in counts]
