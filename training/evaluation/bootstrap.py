"""Uncertainty of measures, by resampling blocks of time.

Rows overlap heavily: labels of ticks within a minute share most of their future, and volatility
comes in spells. Intervals that treat rows as independent would be several times too narrow, so
whole blocks of time are resampled.
"""

from collections.abc import Mapping

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_S
from training.evaluation.metrics import rank, weighted_pr_auc

DRAWS = 400
LEVEL = 0.95
BLOCK_S = 1_800
MIN_BLOCK_S = 300
HORIZONS = 5
"""A block is at least so many horizons long: labels that begin within one share their future."""


def bootstrap(
    kind: str,
    truth: Bool | Float64,
    scores: Mapping[str, Float64],
    ts_ns: Int64,
    *,
    horizon_s: int,
    block_s: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Float64]:
    """Return the quality of each variant on the same resamples, float64, shape (draws,).

    Parameters
    ----------
    kind
        ``classification``: PR-AUC, NaN for a resample without an event; ``regression``: RMSE.
    truth, scores, ts_ns
        Shape (n,).
    horizon_s
        How far ahead a label looks, seconds.
    block_s
        Length of a block, seconds; :func:`block_length` by default.
    """
    blocks = time_blocks(ts_ns, block_s or block_length(ts_ns, horizon_s))
    weights = block_weights(blocks, draws, seed)
    measure = _rmse if kind == "regression" else _pr_auc
    return {name: measure(truth, score, blocks, weights) for name, score in scores.items()}


def _pr_auc(truth: Bool | Float64, score: Float64, blocks: Int64, weights: Float64) -> Float64:
    ranking = rank(truth.astype(np.bool_), score)
    return np.array([weighted_pr_auc(ranking, row[blocks]) for row in weights])


def _rmse(truth: Bool | Float64, score: Float64, blocks: Int64, weights: Float64) -> Float64:
    count = np.bincount(blocks).astype(np.float64)
    total = np.bincount(blocks, weights=(truth - score) ** 2)
    return np.asarray(np.sqrt((weights @ total) / (weights @ count)), np.float64)


def block_length(ts_ns: Int64, horizon_s: int) -> int:
    """Return seconds of a block: half an hour, less where the data hold fewer than 30 of them.

    At least five horizons and five minutes: beyond what labels share, and beyond most of a burst.
    """
    least = max(MIN_BLOCK_S, HORIZONS * horizon_s)
    hours = len(np.unique(ts_ns // (60 * NS_PER_S))) / 60
    return int(np.clip(hours * 3600 / 30, least, max(least, BLOCK_S)))


def time_blocks(ts_ns: Int64, block_s: int) -> Int64:
    """Return the number of the absolute block of time that each row lies in, 0.. without holes.

    All symbols of one interval share a block: they move together.
    """
    return np.unique(ts_ns // (block_s * NS_PER_S), return_inverse=True)[1].astype(np.int64)


def block_count(ts_ns: Int64, horizon_s: int) -> int:
    """Return how many blocks of time rows lie in: what an interval over them rests on."""
    if not len(ts_ns):
        return 0
    return int(time_blocks(ts_ns, block_length(ts_ns, horizon_s)).max()) + 1


def block_weights(blocks: Int64, draws: int, seed: int) -> Float64:
    """Return how often each block is drawn, float64, shape (draws, number of blocks)."""
    count = int(blocks.max()) + 1
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def interval(values: Float64, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws, NaN draws left out."""
    usable = values[np.isfinite(values)]
    if len(usable) == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return float(low), float(high)
