"""Permutation importances: loss of quality when one feature is shuffled."""

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int64
from training.data.dataset import Dataset, thin
from training.evaluation.cross_validation import FittedVariant
from training.evaluation.metrics import pr_auc

MOST_ROWS = 8_000
REPEATS = 2


def permutation_importances(
    variant: FittedVariant, dataset: Dataset, rows: Int64, truth: Bool | Float64, seed: int = 0
) -> dict[str, float]:
    """Return the loss by feature on rows that the model was not trained on.

    Parameters
    ----------
    truth
        Labels of exactly these rows.

    Returns
    -------
    Fall of PR-AUC for an event, rise of RMSE in standard deviations of the truth for a forecast,
        mean of some shuffles.
    """
    chosen = thin(np.arange(len(rows)), MOST_ROWS)
    values = variant.pick(dataset, rows[chosen])
    wanted = truth[chosen]
    if wanted.dtype == bool and not wanted.any():
        return {}
    generator = np.random.default_rng(seed)
    whole = _quality(wanted, variant.model.score(values))
    losses: dict[str, float] = {}
    for column, name in enumerate(variant.columns):
        lost = []
        for _ in range(REPEATS):
            changed = values.copy()
            changed[:, column] = generator.permutation(changed[:, column])
            lost.append(whole - _quality(wanted, variant.model.score(changed)))
        losses[name] = float(np.mean(lost))
    return losses


def _quality(truth: Bool | Float64, score: Float64) -> float:
    if truth.dtype == bool:
        return pr_auc(truth.astype(np.bool_), score)
    return -float(np.sqrt(np.mean((truth - score) ** 2)) / (np.std(truth) or 1.0))
