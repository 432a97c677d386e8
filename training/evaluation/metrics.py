"""Measures of probabilities and of forecasts.

Their uncertainty is in :mod:`training.evaluation.bootstrap`.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from flows.monitoring import figures
from flows.numeric.arrays import Bool, Float64, Int64


def quality(kind: str, truth: Bool | Float64, score: Float64) -> float:
    """Return what variants are ranked by: PR-AUC of an event, RMSE of a forecast."""
    if kind == "regression":
        return float(np.sqrt(np.mean((truth - score) ** 2)))
    return pr_auc(truth.astype(np.bool_), score)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows sorted by falling score, so that each resample costs two cumulative sums."""

    order: Int64
    ends: Int64
    truth: Float64


def rank(truth: Bool, score: Float64) -> Ranking:
    """Sort rows by falling score; ``ends`` closes each group of equal scores."""
    order = np.argsort(-score, kind="stable")
    sorted_score = score[order]
    ends = np.flatnonzero(np.append(sorted_score[1:] != sorted_score[:-1], True))
    return Ranking(order, ends, truth[order].astype(np.float64))


def weighted_pr_auc(ranking: Ranking, weight: Float64 | None = None) -> float:
    """Return average precision (the area under the step-wise precision-recall curve).

    Parameters
    ----------
    weight
        float64, shape (n,), by row in the original order; None for 1 everywhere.

    Returns
    -------
    In [0, 1]; NaN without a positive row.
    """
    ordered = np.ones(len(ranking.order)) if weight is None else weight[ranking.order]
    hits = np.cumsum(ordered * ranking.truth)[ranking.ends]
    seen = np.cumsum(ordered)[ranking.ends]
    if len(hits) == 0 or hits[-1] <= 0:
        return float("nan")
    gained = np.diff(hits, prepend=0.0)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return float((gained * precision).sum() / hits[-1])


def pr_auc(truth: Bool, score: Float64) -> float:
    """Return average precision of scores, both of shape (n,)."""
    return weighted_pr_auc(rank(truth, score))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Mean score and frequency of the event in bins of equal count, for a diagram."""

    mean_score: list[float]
    frequency: list[float]
    count: list[int]


def reliability(truth: Bool, score: Float64, bins: int = 10) -> Reliability:
    """Bin rows by score quantile."""
    parts = [part for part in np.array_split(np.argsort(score, kind="stable"), bins) if len(part)]
    return Reliability(
        [float(score[part].mean()) for part in parts],
        [float(truth[part].mean()) for part in parts],
        [len(part) for part in parts],
    )


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts at a threshold (score >= threshold is an alert)."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float:
        """Alerts that were right; NaN without an alert."""
        alerts = self.true_positive + self.false_positive
        return self.true_positive / alerts if alerts else float("nan")

    @property
    def recall(self) -> float:
        """Events that were alerted; NaN without an event."""
        events = self.true_positive + self.false_negative
        return self.true_positive / events if events else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / both if both else float("nan")


def confusion(truth: Bool, alert: Bool) -> Confusion:
    """Count hits and errors of alerts."""
    return Confusion(
        int((truth & alert).sum()),
        int((~truth & alert).sum()),
        int((truth & ~alert).sum()),
        int((~truth & ~alert).sum()),
    )


def budget_threshold(score: Float64, budget: float) -> float:
    """Return the threshold that alerts on the share ``budget`` of these (training) scores.

    Where many scores are the same, as of markets that stand still or of trees with few leaves, one
    that all of them reach would alert on more: then it lies between them and the next higher score,
    or where there is none, halfway to certainty.

    Parameters
    ----------
    score
        float64, shape (n,), n at least 1.
    budget
        In (0, 1).
    """
    threshold = float(np.quantile(score, 1 - budget, method="higher"))
    most = len(score) - int(np.ceil((len(score) - 1) * (1 - budget)))
    if np.count_nonzero(score >= threshold) <= most:
        return threshold
    above = score[score > threshold]
    higher = float(above.min()) if len(above) else max(1.0, float(np.nextafter(threshold, np.inf)))
    # Halfway, since the scores of the ONNX graph differ by some rounding. Of two neighbours the
    # middle is one of them: the upper one is meant.
    middle = (threshold + higher) / 2
    return middle if middle > threshold else higher


def classification_metrics(truth: Bool, score: Float64, *, alert: Bool) -> dict[str, float]:
    """Return point measures by name; those that live quality has too are the same functions.

    Parameters
    ----------
    truth, score, alert
        Shape (n,); alerts were decided by thresholds from training folds.
    """
    counts = confusion(truth, alert)
    both = 0 < truth.sum() < len(truth)
    prevalence = float(truth.mean())
    area = pr_auc(truth, score)
    sums = figures.classifier_sums(score, truth.astype(np.float64))
    skill = figures.brier_skill(sums)
    return {
        "prevalence": prevalence,
        "pr_auc": area,
        "lift_over_prevalence": area / prevalence if prevalence else float("nan"),
        "roc_auc": float(roc_auc_score(truth, score)) if both else float("nan"),
        "brier_skill": float("nan") if skill is None else skill,
        "calibration_error": figures.calibration_error(sums),
        "alert_share": float(alert.mean()),
        "precision_at_budget": counts.precision,
        "recall_at_budget": counts.recall,
        "f1_at_budget": counts.f1,
        "true_positive": float(counts.true_positive),
        "false_positive": float(counts.false_positive),
        "false_negative": float(counts.false_negative),
        "true_negative": float(counts.true_negative),
    }


def regression_metrics(truth: Float64, forecast: Float64) -> dict[str, float]:
    """Return RMSE, MAE, skill over persistence (a forecast of 0) and hit rate of the direction.

    The direction counts only rows where both the truth and the forecast moved.
    """
    error = truth - forecast
    moved = (truth != 0) & (forecast != 0)
    still = float(np.sqrt(np.mean(truth**2)))
    rmse = float(np.sqrt(np.mean(error**2)))
    right = np.sign(truth[moved]) == np.sign(forecast[moved])
    return {
        "rmse": rmse,
        "mae": float(np.mean(np.abs(error))),
        "rmse_persistence": still,
        "mae_persistence": float(np.mean(np.abs(truth))),
        "skill_over_persistence": 1 - (rmse / still) ** 2 if still else float("nan"),
        "direction": float(right.mean()) if moved.any() else float("nan"),
    }
