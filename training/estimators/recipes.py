"""Named recipes: which inputs, which estimator, how regularised.

A recipe is everything about a variant but the data, so that champion and challenger can be
compared recipe against recipe on the same folds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor

from flows.errors import TrainingError
from schemas.features import NAMES
from training.estimators.fitted import Blend, Constant, FixedLinear, Model, Scaled
from training.estimators.preprocessing import KINDS, InputColumn, Preprocessor, log, raw
from training.estimators.prior import HOUR, PRIOR_WEIGHTS
from training.estimators.xgb import XGBoostClassifier

Fit = Model | Blend
Make = Callable[[list[InputColumn], list[str], "Fitting"], Fit]


@dataclass(frozen=True, slots=True)
class Fitting:
    """Facts about the current fit that a builder may use.

    Attributes
    ----------
    seed
        Of everything random.
    hours
        Active time of the training rows.
    """

    seed: int = 0
    hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build one variant.

    Attributes
    ----------
    name
        The variant's name in reports and manifests.
    inputs
        Input columns; those whose features are wholly undefined in the data are left out.
    make
        Builds the unfitted model from usable inputs, the names of columns and the current fit.
    baseline
        True for the models that others must beat.
    max_rows
        Training rows are thinned evenly to at most this many: ticks overlap so heavily that more
        rows cost time and add little.
    """

    name: str
    inputs: tuple[InputColumn, ...]
    make: Make
    baseline: bool = False
    max_rows: int = 60_000

    def build(
        self, defined: Iterable[str], fitting: Fitting, order: Sequence[str] = NAMES
    ) -> tuple[Fit, list[str]]:
        """Return the unfitted model and the features it takes, in contract (or given) order.

        Raises
        ------
        TrainingError
            If no input is left.
        """
        known = set(defined)
        inputs = [each for each in self.inputs if each.features <= known]
        if not inputs:
            names = ", ".join(sorted(set().union(*(each.features for each in self.inputs))))
            msg = (
                f"the variant {self.name} has no input that varies: {names} are undefined, or"
                " always the same, in its training rows"
            )
            raise TrainingError(msg)
        needed = set().union(*(each.columns for each in inputs))
        columns = [name for name in order if name in needed]
        return self.make(inputs, columns, fitting), columns


def logistic(strength: float) -> Make:
    """Return a builder of logistic regression with the inverse penalty ``strength``."""

    def make(inputs: list[InputColumn], columns: list[str], fitting: Fitting) -> Fit:
        estimator = LogisticRegression(C=strength, max_iter=500, random_state=fitting.seed)
        return Model(Preprocessor(inputs, columns), estimator)

    return make


def _trees(estimator: Callable[[int], Any], calibrate: bool = False) -> Make:
    def make(inputs: list[InputColumn], columns: list[str], fitting: Fitting) -> Fit:
        return Model(Preprocessor(inputs, columns, scale=False), estimator(fitting.seed), calibrate)

    return make


def _scaled(estimator: Callable[[int], Any]) -> Make:
    def make(inputs: list[InputColumn], columns: list[str], fitting: Fitting) -> Fit:
        return Model(Preprocessor(inputs, columns), estimator(fitting.seed))

    return make


def gbt_classic(seed: int) -> GradientBoostingClassifier:
    """20 trees of depth 5."""
    return GradientBoostingClassifier(n_estimators=20, max_depth=5, random_state=seed)


def gbt_tuned(seed: int) -> HistGradientBoostingClassifier:
    """Many small, shrunk, strongly regularised trees."""
    return HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.04,
        max_leaf_nodes=6,
        min_samples_leaf=300,
        l2_regularization=50.0,
        max_bins=63,
        early_stopping=False,
        random_state=seed,
    )


def forest(seed: int) -> RandomForestClassifier:
    """50 trees of depth 6."""
    return RandomForestClassifier(
        n_estimators=50,
        max_depth=6,
        min_samples_leaf=50,
        max_features="sqrt",
        max_samples=0.5,
        random_state=seed,
        n_jobs=1,
    )


HAR_INPUTS = tuple(log(f"grid_vol_{window}") for window in (60, 300, 900, 3600))

# EWMA over the window's nested parts: weights fall with a half-life of 60 s of tick-free time.
_EWMA = InputColumn(
    "log ewma / hour",
    "log",
    (("grid_vol_60", 0.72), ("grid_vol_300", 0.24), ("grid_vol_900", 0.03), (HOUR, 0.01)),
    ((HOUR, 1.0),),
)

PRIOR_HOURS = 24.0
LOGREG_INPUTS: tuple[InputColumn, ...] = tuple(each for each, _weight in PRIOR_WEIGHTS)


def with_prior(weights: Mapping[InputColumn, float], worth_hours: float = PRIOR_HOURS) -> Make:
    """Return a builder of the weighted mean of an own fit's log odds and of given weights'.

    The given weights count like ``worth_hours`` of own data: much beside two hours, little beside
    a week.
    """

    def make(inputs: list[InputColumn], columns: list[str], fitting: Fitting) -> Fit:
        unscaled = Preprocessor(inputs, columns, scale=False)
        # Columns come out ordered by kind.
        known = sorted(inputs, key=lambda each: KINDS.index(each.kind))
        prior = Model(unscaled, FixedLinear([weights[each] for each in known]))
        own = LogisticRegression(C=0.01, max_iter=500, random_state=fitting.seed)
        share = worth_hours / (worth_hours + fitting.hours)
        return Blend([Model(Preprocessor(inputs, columns), own), prior], [1 - share, share])

    return make


# Inputs of trees: contract features that mean the same for every symbol, untouched, so that no
# rounding of a logarithm can move a row across a split.
_LEVELS = {
    "spread",
    "notional_60",
    "signed_notional_60",
    "ofi_60",
    "amihud_300",
    "history_s",
    "gap_age_s",
    "time_of_day_sin",
    "time_of_day_cos",
    "tick_count_1",
    "tick_count_60",
    "trade_intensity_5",
    "trade_intensity_300",
}
TREE_INPUTS: tuple[InputColumn, ...] = tuple(raw(name) for name in NAMES if name not in _LEVELS)
RATIO_INPUTS: tuple[InputColumn, ...] = tuple(
    raw(name)
    for name in NAMES
    if "ratio" in name or "imbalance" in name or "share" in name or name.endswith("position")
)


CLASSIFIERS: tuple[Recipe, ...] = (
    Recipe("last_minute", (log("grid_vol_60"),), logistic(1.0), baseline=True),
    Recipe("zscore", (log("vol_ratio_60_3600"),), logistic(1.0), baseline=True),
    Recipe("ewma", (_EWMA,), logistic(1.0), baseline=True),
    Recipe("har", HAR_INPUTS, logistic(1.0), baseline=True),
    Recipe("anchored", LOGREG_INPUTS, with_prior(dict(PRIOR_WEIGHTS)), max_rows=20_000),
    Recipe("logreg", LOGREG_INPUTS, logistic(0.01), max_rows=20_000),
    Recipe("gbt", TREE_INPUTS, _trees(gbt_classic), max_rows=20_000),
    Recipe("gbt_tuned", RATIO_INPUTS, _trees(gbt_tuned), max_rows=30_000),
    Recipe("rf", TREE_INPUTS, _trees(forest, calibrate=True), max_rows=20_000),
    Recipe("xgb", TREE_INPUTS, _trees(lambda seed: XGBoostClassifier(seed=seed)), max_rows=30_000),
)

_FORECAST_INPUTS: tuple[InputColumn, ...] = tuple(
    raw(name)
    for name in (
        "log_return_1",
        "log_return_5",
        "log_return_30",
        "log_return_60",
        "log_return_300",
        "volume_imbalance_60",
        "volume_imbalance_300",
        "vwap_dev_bps_60",
        "imbalance",
        "imbalance_mean_5",
        "imbalance_mean_60",
        "microprice_dev_bps",
        "ofi_share_5",
        "ofi_share_60",
        "vol_ratio_60_3600",
        "spread_bps",
    )
)

PERSISTENCE = "persistence"

FORECASTERS: tuple[Recipe, ...] = (
    Recipe(PERSISTENCE, (raw("log_return_1"),), _trees(lambda _seed: Constant()), baseline=True),
    # Least squares of the coming return on the last one; the penalty is that of one row.
    Recipe(
        "ar1",
        (raw("log_return_60"),),
        _scaled(lambda _seed: Scaled(Ridge(alpha=1.0))),
        baseline=True,
    ),
    Recipe("ridge", _FORECAST_INPUTS, _scaled(lambda _seed: Scaled(Ridge(alpha=10_000.0)))),
    Recipe(
        "gbt",
        _FORECAST_INPUTS,
        _trees(
            lambda seed: Scaled(
                GradientBoostingRegressor(
                    n_estimators=20,
                    max_depth=5,
                    min_samples_leaf=100,
                    subsample=0.5,
                    random_state=seed,
                )
            )
        ),
        max_rows=20_000,
    ),
    Recipe(
        "mlp",
        _FORECAST_INPUTS,
        _scaled(
            lambda seed: Scaled(
                MLPRegressor(
                    hidden_layer_sizes=(16,),
                    alpha=1.0,
                    early_stopping=True,
                    max_iter=200,
                    random_state=seed,
                )
            )
        ),
        max_rows=20_000,
    ),
)


def recipes(kind: str) -> dict[str, Recipe]:
    """Return the recipes of ``classification`` or ``regression`` by name."""
    chosen = CLASSIFIERS if kind == "classification" else FORECASTERS
    return {recipe.name: recipe for recipe in chosen}
