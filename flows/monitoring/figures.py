"""Figures of classifiers and forecasts, as pure functions over sums that can be added up.

The same functions serve live quality, minute by minute and partition by partition, and training,
so that a name means the same figure in both. PR-AUC and ROC-AUC come from histograms over the log
odds and are exact but for differences of less than 1.6 % in the odds; everything else is exact.
"""

from typing import Final

import numpy as np

from flows.numeric.arrays import Float64
from schemas.quality import ReliabilityBin

RELIABILITY_BINS: Final = 10

_ODDS_LIMIT = 8.0
_BINS = 1024
_HISTOGRAM = slice(0, 2 * _BINS)
_RELIABILITY = slice(2 * _BINS, 2 * _BINS + 3 * RELIABILITY_BINS)
_SQUARES = 2 * _BINS + 3 * RELIABILITY_BINS
CLASSIFIER_WIDTH: Final = _SQUARES + 1
FORECAST_WIDTH: Final = 5


def classifier_sums(scores: Float64, truths: Float64) -> Float64:
    """Fold probabilities and truths into the vector that figures are computed from.

    Parameters
    ----------
    scores
        float64, shape (n,), in [0, 1].
    truths
        float64, shape (n,), 0 or 1.
    """
    sums = np.zeros(CLASSIFIER_WIDTH)
    happened = truths > 0.5
    bounded = np.clip(scores, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        odds = np.log(bounded) - np.log1p(-bounded)
    place = (np.clip(odds, -_ODDS_LIMIT, _ODDS_LIMIT) + _ODDS_LIMIT) * (_BINS / 2 / _ODDS_LIMIT)
    bins = np.minimum(place.astype(np.int64), _BINS - 1)
    sums[_HISTOGRAM] = np.bincount(bins + _BINS * happened, minlength=2 * _BINS)
    tenth = np.minimum((bounded * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    sums[_RELIABILITY] = np.concatenate(
        [
            np.bincount(tenth, weights=weights, minlength=RELIABILITY_BINS)
            for weights in (None, scores, happened.astype(np.float64))
        ]
    )
    sums[_SQUARES] = np.sum((scores - happened) ** 2)
    return sums


def forecast_sums(scores: Float64, truths: Float64) -> Float64:
    """Fold forecasts and realized values, each float64 of shape (n,), into their sums."""
    error = scores - truths
    with np.errstate(over="ignore"):
        return np.array(
            [
                len(scores),
                np.sum(error**2),
                np.sum(np.abs(error)),
                np.sum(truths**2),
                np.sum(np.abs(truths)),
            ]
        )


def classifier_figures(sums: Float64) -> dict[str, float | list[ReliabilityBin] | int | None]:
    """Return the figures of a classifier, named as in ``schemas.quality.ModelQuality``."""
    negative, positive = sums[_HISTOGRAM].reshape(2, _BINS)
    both = bool(positive.any()) and bool(negative.any())
    return {
        "count": int(positive.sum() + negative.sum()),
        "prevalence": prevalence(sums),
        "pr_auc": _average_precision(positive, negative) if both else None,
        "roc_auc": _roc_auc(positive, negative) if both else None,
        "brier": brier(sums),
        "brier_skill": brier_skill(sums),
        "calibration_error": calibration_error(sums),
        "reliability": reliability(sums),
    }


def prevalence(sums: Float64) -> float:
    """Return the share of positive truths, in [0, 1]."""
    negative, positive = sums[_HISTOGRAM].reshape(2, _BINS).sum(axis=1)
    return float(positive / (negative + positive))


def brier(sums: Float64) -> float:
    """Return the mean squared error of the probability."""
    return float(sums[_SQUARES] / sums[_HISTOGRAM].sum())


def brier_skill(sums: Float64) -> float | None:
    """Return 1 - brier / (prevalence (1 - prevalence)); None while only one class was seen.

    The reference always says the prevalence of these same rows: the best constant in hindsight.
    """
    rate = prevalence(sums)
    return 1 - brier(sums) / (rate * (1 - rate)) if 0 < rate < 1 else None


def calibration_error(sums: Float64) -> float:
    """Return the mean of |mean score - frequency| over ten bins of equal width, by count."""
    bins = reliability(sums)
    weighted = [abs(each.mean_score - each.truth_rate) * each.count for each in bins]
    return float(sum(weighted) / sums[_HISTOGRAM].sum())


def forecast_figures(sums: Float64) -> dict[str, float | int]:
    """Return the figures of a forecast, named as in ``schemas.quality.ModelQuality``."""
    count = sums[0]
    return {
        "count": int(count),
        "rmse": float(np.sqrt(sums[1] / count)),
        "mae": float(sums[2] / count),
        "persistence_rmse": float(np.sqrt(sums[3] / count)),
        "persistence_mae": float(sums[4] / count),
    }


def _average_precision(positive: Float64, negative: Float64) -> float:
    hits = np.cumsum(positive[::-1])
    alarms = hits + np.cumsum(negative[::-1])
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    return float(np.sum(precision * positive[::-1]) / hits[-1])


def _roc_auc(positive: Float64, negative: Float64) -> float:
    below = np.cumsum(negative) - negative
    return float(np.sum(positive * (below + negative / 2)) / (positive.sum() * negative.sum()))


def reliability(sums: Float64) -> list[ReliabilityBin]:
    """Return the bins of equal width in [0, 1] that hold any score."""
    counts, promised, happened = sums[_RELIABILITY].reshape(3, RELIABILITY_BINS)
    return [
        ReliabilityBin(
            low=at / RELIABILITY_BINS,
            high=(at + 1) / RELIABILITY_BINS,
            count=int(counts[at]),
            mean_score=float(promised[at] / counts[at]),
            truth_rate=float(happened[at] / counts[at]),
        )
        for at in np.flatnonzero(counts).tolist()
    ]
