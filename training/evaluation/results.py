"""Measure every variant on the folds, and compare variants with each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.numeric.arrays import Float64
from schemas.training import TrainingResult
from training.data.dataset import Dataset
from training.estimators.recipes import Recipe
from training.evaluation.bootstrap import block_count, bootstrap, interval
from training.evaluation.cross_validation import OutOfFold
from training.evaluation.metrics import classification_metrics, quality, regression_metrics


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One variant on all folds' test rows.

    Attributes
    ----------
    quality
        PR-AUC for an event, RMSE for a forecast, on all folds' rows together.
    quality_ci
        95 % block-bootstrap interval of it.
    draws
        The same resamples for every variant, so that differences are paired.
    by_fold
        Quality in each fold.
    """

    name: str
    baseline: bool
    quality: float
    quality_ci: tuple[float, float]
    draws: Float64
    by_fold: list[float]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Quality of one variant relative to another.

    Attributes
    ----------
    lift
        Ratio of qualities so that above 1 is better: PR-AUC / PR-AUC of the other, or RMSE of the
        other / RMSE.
    lift_ci
        95 % interval of the paired ratio.
    chance
        Share of resamples in which the variant is better.
    """

    lift: float
    lift_ci: tuple[float, float]
    chance: float


@dataclass(frozen=True, slots=True)
class Results:
    """All variants, evaluated on the same rows."""

    kind: str
    prevalence: float | None
    variants: dict[str, VariantResult]

    def best(self, *, baseline: bool) -> str | None:
        """Return the best baseline (or the best model), by quality."""
        names = [name for name, one in self.variants.items() if one.baseline is baseline]
        if not names:
            return None
        sign = 1 if self.kind == "regression" else -1
        return min(names, key=lambda name: sign * self.variants[name].quality)

    def compare(self, name: str, other: str) -> Comparison:
        """Compare two variants on the same resamples."""
        one, two = self.variants[name], self.variants[other]
        return compare(one.quality, two.quality, one.draws, two.draws, self.kind)


def compare(
    quality: float, other: float, draws: Float64, other_draws: Float64, kind: str
) -> Comparison:
    """Return the paired lift of one quality over another."""
    if kind == "regression":
        quality, other, draws, other_draws = other, quality, other_draws, draws
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = draws / other_draws
    usable = ratios[np.isfinite(ratios)]
    return Comparison(
        quality / other if other else float("nan"),
        interval(ratios),
        float((usable > 1).mean()) if len(usable) else 0.0,
    )


def evaluate(dataset: Dataset, scored: OutOfFold, chosen: Sequence[Recipe], kind: str) -> Results:
    """Measure every variant on all folds' test rows together, with intervals."""
    ts_ns = dataset.ts_ns[scored.rows]
    truth = scored.truth
    horizon_s = scored.horizon_s
    blocks = float(block_count(ts_ns, horizon_s))
    scores = {recipe.name: scored.score(recipe.name) for recipe in chosen}
    draws = bootstrap(kind, truth, scores, ts_ns, horizon_s=horizon_s)
    results = {
        recipe.name: VariantResult(
            name=recipe.name,
            baseline=recipe.baseline,
            quality=quality(kind, truth, scores[recipe.name]),
            quality_ci=interval(draws[recipe.name]),
            draws=draws[recipe.name],
            by_fold=[quality(kind, part.truth, part.scores[recipe.name]) for part in scored.folds],
            metrics={**_metrics(scored, recipe.name, kind), "time_blocks": blocks},
        )
        for recipe in chosen
    }
    prevalence = None if kind == "regression" else float(truth.mean())
    return Results(kind, prevalence, results)


def _metrics(scored: OutOfFold, variant: str, kind: str) -> dict[str, float]:
    truth, score = scored.truth, scored.score(variant)
    if kind == "regression":
        return regression_metrics(truth.astype(np.float64), score)
    alert = scored.alert(variant)
    return classification_metrics(truth.astype(np.bool_), score, alert=alert)


def summarise(
    *,
    target: str,
    version: str | None,
    published: bool,
    champion: bool,
    results: Results,
    candidate: str,
    versions: dict[str, str],
) -> TrainingResult:
    """Return the last line of a run: the candidate's figures, and those of each variant.

    ``pr_auc`` and its relatives are None for a forecast, whose figures (``rmse``, ``mae``,
    ``direction``) stand in ``variants``; ``lift`` is the ratio to the best baseline in both cases,
    and above 1 is better.
    """
    one = results.variants[candidate]
    event = results.kind == "classification"
    baseline = results.best(baseline=True)
    against = results.compare(candidate, baseline) if baseline is not None else None
    return TrainingResult(
        target=target,
        version=version,
        published=published,
        champion=champion,
        prevalence=results.prevalence,
        pr_auc=one.quality if event else None,
        pr_auc_ci=one.quality_ci if event else None,
        best_baseline=baseline,
        best_baseline_pr_auc=results.variants[baseline].quality if baseline and event else None,
        lift=against.lift if against else None,
        lift_ci=against.lift_ci if against else None,
        variants={
            name: {
                "baseline": two.baseline,
                "version": versions.get(name),
                "pr_auc" if event else "rmse": two.quality,
                "pr_auc_ci" if event else "rmse_ci": two.quality_ci,
                "by_fold": two.by_fold,
                **two.metrics,
                **_against(results, name, baseline),
            }
            for name, two in results.variants.items()
        },
    )


def _against(results: Results, name: str, baseline: str | None) -> dict[str, Any]:
    if baseline is None or name == baseline:
        return {}
    found = results.compare(name, baseline)
    return {"lift": found.lift, "lift_ci": found.lift_ci}
