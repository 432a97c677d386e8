"""Checks of an experiment against leaks of the future into features or labels."""

from collections.abc import Callable, Sequence

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int64
from schemas.models import TargetSpec
from training.data.dataset import Dataset, thin
from training.data.splits import Plan
from training.estimators.recipes import PERSISTENCE, Recipe, recipes
from training.evaluation import leaks
from training.evaluation.cross_validation import fit_spec, fit_variant, labels
from training.evaluation.results import Results

SHUFFLE_ROWS = 8_000
LEAK_PROBE = "rf"


def check_leaks(
    dataset: Dataset,
    spec: TargetSpec,
    chosen: Sequence[Recipe],
    plan: Plan,
    results: Results,
    candidate: str,
) -> None:
    """Run the checks that need rows alone: too good a measure, and skill on shuffled labels.

    Raises
    ------
    LeakError
        One of them failed.
    """
    if spec.kind == "regression":
        # Not the best baseline: a regression on the last return follows a bounce as well as any.
        if PERSISTENCE in results.variants:
            for name in (each for each in results.variants if each != PERSISTENCE):
                against = results.compare(name, PERSISTENCE)
                leaks.check_forecast(name, against.lift, against.lift_ci[0])
        return
    assert results.prevalence is not None  # noqa: S101  # an event has one
    for name, one in results.variants.items():
        leaks.check_too_good(name, one.quality, one.quality_ci[0], results.prevalence)
    fold = plan.folds[-1]
    train, test = thin(fold.train, SHUFFLE_ROWS), thin(fold.test, SHUFFLE_ROWS)
    rows = np.concatenate([train, test])
    truth = labels(fit_spec(spec, dataset, fold.train), dataset.quantity[rows]).astype(np.bool_)
    by_name = {recipe.name: recipe for recipe in chosen}
    # A linear model of ten inputs cannot memorise rows; trees can, so they are tried as well.
    for recipe in dict.fromkeys([by_name[candidate], recipes(spec.kind)[LEAK_PROBE]]):
        leaks.check_shuffled(recipe.name, truth, _refit(dataset, recipe, rows, len(train)))


def _refit(
    dataset: Dataset, recipe: Recipe, rows: Int64, cut: int
) -> Callable[[Bool], tuple[Float64, Int64]]:
    def fit_and_score(shuffled: Bool) -> tuple[Float64, Int64]:
        fitted = fit_variant(recipe, dataset, rows[:cut], shuffled[:cut], seed=0, budget=0.05)
        return fitted.score(dataset, rows[cut:]), np.arange(cut, len(rows))

    return fit_and_score
