"""Walk-forward cross-validation: fit on the rows before a fold, score the rows in it."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np
import structlog
from sklearn.exceptions import ConvergenceWarning

from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Float32, Float64, Int64
from flows.targets import truth as truth_of
from schemas.models import TargetSpec
from training.data.dataset import Dataset, fit_level, thin
from training.data.splits import Fold, Plan, active_time, walk_forward
from training.estimators.export import check_parity, to_bytes
from training.estimators.recipes import Fit, Fitting, Recipe
from training.evaluation.metrics import budget_threshold

Step = Callable[[str], None]
HOLDOUT_SHARES = (0.15, 0.25, 0.35)


@dataclass(frozen=True, slots=True)
class FittedVariant:
    """A recipe fitted on one training part.

    Attributes
    ----------
    columns
        Contract features it takes, in order.
    threshold
        Alerts on the budget's share of its training rows; None for a forecast.
    """

    recipe: Recipe
    model: Fit
    columns: list[str]
    threshold: float | None
    rows: int

    def pick(self, dataset: Dataset, rows: Int64) -> Float32:
        """Return the model's columns of some rows."""
        return dataset.pick(rows, self.columns)

    def score(self, dataset: Dataset, rows: Int64) -> Float64:
        """Score some rows with scikit-learn; float64, shape (len(rows),)."""
        return self.model.score(self.pick(dataset, rows))

    def to_onnx(self) -> bytes:
        """Return the ONNX graph."""
        return to_bytes(self.model, len(self.columns), {"variant": self.recipe.name})

    def prove(self, onnx_bytes: bytes, dataset: Dataset, rows: Int64) -> float:
        """Return the largest difference between graph and scikit-learn over some rows."""
        return check_parity(self.recipe.name, self.model, onnx_bytes, self.pick(dataset, rows))


@dataclass(frozen=True, slots=True)
class FoldScores:
    """One fold's test rows, their labels, and the scores of every variant.

    ``truth`` is bool for an event, float64 for a forecast.
    """

    fold: Fold
    spec: TargetSpec
    truth: Bool | Float64
    scores: dict[str, Float64]
    thresholds: dict[str, float]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """All folds' test rows together."""

    folds: list[FoldScores] = field(default_factory=list)

    @property
    def horizon_s(self) -> int:
        """How far ahead the labels look, seconds; the folds have it in common."""
        return max(part.spec.horizon_s for part in self.folds)

    @property
    def rows(self) -> Int64:
        """Row numbers, int64."""
        return np.concatenate([part.fold.test for part in self.folds])

    @property
    def truth(self) -> Bool | Float64:
        """Labels."""
        return np.concatenate([part.truth for part in self.folds])

    def score(self, variant: str) -> Float64:
        """Scores of one variant."""
        return np.concatenate([part.scores[variant] for part in self.folds])

    def alert(self, variant: str) -> Bool:
        """Alerts of one variant at thresholds from training parts."""
        return np.concatenate(
            [part.scores[variant] >= part.thresholds[variant] for part in self.folds]
        )


def fit_spec(spec: TargetSpec, dataset: Dataset, rows: Int64) -> TargetSpec:
    """Set the event's level from training rows only; a forecast needs none."""
    if spec.kind == "regression":
        return spec
    return msgspec.structs.replace(spec, level=fit_level(dataset.quantity[rows], spec.percentile))


def labels(spec: TargetSpec, quantity: Float64) -> Bool | Float64:
    """Return events for a fitted classification target, the quantity itself for a forecast."""
    known = truth_of(quantity, spec)
    return known if spec.kind == "regression" else known == 1.0


def fit_variant(
    recipe: Recipe,
    dataset: Dataset,
    rows: Int64,
    truth: Bool | Float64,
    *,
    seed: int,
    budget: float,
) -> FittedVariant:
    """Fit one recipe on training rows.

    Parameters
    ----------
    rows
        Training rows in time order.
    truth
        Labels of exactly these rows.
    budget
        Share of training rows that the threshold alerts on.
    """
    chosen = thin(np.arange(len(rows)), recipe.max_rows)
    kept = rows[chosen]
    hours = float(active_time(dataset.ts_ns[rows])[1][-1]) / 3_600e9
    defined = dataset.defined(kept, varying=True)
    model, columns = recipe.build(defined, Fitting(seed, hours), dataset.columns)
    inputs = dataset.pick(kept, columns)
    with _told_once(recipe.name):
        model.fit(inputs, truth[chosen])
    threshold = budget_threshold(model.score(inputs), budget) if truth.dtype == bool else None
    return FittedVariant(recipe, model, columns, threshold, len(kept))


@contextmanager
def _told_once(variant: str) -> Iterator[None]:
    """Say in one line of the log that a fit did not converge; pass other warnings on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield
    others = [each for each in caught if not issubclass(each.category, ConvergenceWarning)]
    if len(others) < len(caught):
        structlog.get_logger().warning(
            "a fit did not converge; its figures stand, but more rows may help", variant=variant
        )
    for each in others:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def check_classes(name: str, truth: Bool | Float64) -> None:
    """Refuse a part with one class only, or of a forecast with one value only.

    Raises
    ------
    TrainingError
        Naming the part.
    """
    if truth.dtype != bool:
        if len(truth) and (truth == truth[0]).all():
            msg = (
                f"one value only in {name}: all {len(truth)} rows are {truth[0]:g}, so the price"
                " does not move there; record longer"
            )
            raise TrainingError(msg)
        return
    positives = int(truth.sum())
    if positives == 0:
        msg = (
            f"no positive label in {name} ({len(truth)} rows); record longer or lower --percentile"
        )
        raise TrainingError(msg)
    if positives == len(truth):
        msg = f"one class only in {name}: all {len(truth)} rows are positive; record longer"
        raise TrainingError(msg)


def make_plan(dataset: Dataset, spec: TargetSpec, folds: int, embargo_s: int) -> Plan:
    """Split, with fewer and longer parts where one would hold one class only.

    Raises
    ------
    TrainingError
        If even one fold has one class only, or the data are too short.
    """
    failure = TrainingError("at least one fold is needed")
    for share in HOLDOUT_SHARES:
        for count in range(folds, 0, -1):
            try:
                plan = walk_forward(
                    dataset.ts_ns,
                    horizon_s=spec.horizon_s,
                    embargo_s=embargo_s,
                    folds=count,
                    holdout_share=share,
                )
            except TrainingError as error:
                if share == HOLDOUT_SHARES[0]:
                    raise
                failure = error
                break
            try:
                for fold in [*plan.folds, plan.holdout]:
                    _check_fold(dataset, spec, fold)
            except TrainingError as error:
                failure = error
            else:
                return plan
    raise failure


def _check_fold(dataset: Dataset, spec: TargetSpec, fold: Fold) -> None:
    fitted = fit_spec(spec, dataset, fold.train)
    for part, rows in (("training part", fold.train), ("test part", fold.test)):
        check_classes(f"{fold.name}'s {part}", labels(fitted, dataset.quantity[rows]))


def cross_validate(
    dataset: Dataset,
    spec: TargetSpec,
    chosen: Sequence[Recipe],
    folds: Sequence[Fold],
    *,
    seed: int = 0,
    budget: float = 0.05,
    step: Step = lambda _what: None,
) -> OutOfFold:
    """Fit every recipe on every fold and score the fold's test rows."""
    parts: list[FoldScores] = []
    for fold in folds:
        fitted = fit_spec(spec, dataset, fold.train)
        train_truth = labels(fitted, dataset.quantity[fold.train])
        scores: dict[str, Float64] = {}
        thresholds: dict[str, float] = {}
        for recipe in chosen:
            step(f"{fold.name} {recipe.name}")
            variant = fit_variant(
                recipe, dataset, fold.train, train_truth, seed=seed, budget=budget
            )
            scores[recipe.name] = variant.score(dataset, fold.test)
            if variant.threshold is not None:
                thresholds[recipe.name] = variant.threshold
        parts.append(
            FoldScores(
                fold,
                fitted,
                labels(fitted, dataset.quantity[fold.test]),
                scores,
                thresholds,
            )
        )
    return OutOfFold(parts)
