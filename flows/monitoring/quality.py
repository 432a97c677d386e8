"""Live quality: how well each model did over the last hour of event time, at a constant cost.

Nothing is kept per prediction. Each minute's scores are folded into a vector of sums; the window's
vector is the sum of its minutes, and all figures come from it. What counts is what training
counts: the first warm prediction of each symbol and second. Ranking figures (PR-AUC, ROC-AUC)
rest on a histogram of the log odds with bins of 1/64, in which equal means tied: exact but for
differences of less than 1.6 % in the odds. Everything else is exact.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from flows.numeric.arrays import Float64, Int32, Int64
from flows.numeric.time import NS_PER_S
from schemas.models import TargetKind
from schemas.quality import ModelQuality, QualityPoint, ReliabilityBin

Role = Literal["champion", "challenger"]

WINDOW_S: Final = 3600
MINUTE_S: Final = 60
# Of event time, between two points of the history.
INTERVAL_S: Final = 5
RELIABILITY_BINS: Final = 10

_ODDS_LIMIT = 8.0
_BINS = 1024
_HISTOGRAM = slice(0, 2 * _BINS)
_RELIABILITY = slice(2 * _BINS, 2 * _BINS + 3 * RELIABILITY_BINS)
_SQUARES = 2 * _BINS + 3 * RELIABILITY_BINS
_CLASSIFIER_WIDTH = _SQUARES + 1


class FirstOfSecond:
    """Picks the first prediction of each symbol and second, over all batches of one partition."""

    def __init__(self) -> None:
        self._last = np.empty(0, np.int64)

    def pick(self, symbol_id: Int32, ts_ns: Int64) -> Int64:
        """Return the places to count, int64, rising.

        Parameters
        ----------
        symbol_id, ts_ns
            int32 and int64, shape (n,), each symbol's in the order of time.
        """
        if len(ts_ns) == 0:
            return np.empty(0, np.int64)
        symbols = symbol_id.astype(np.int64)
        missing = int(symbols.max()) + 1 - len(self._last)
        if missing > 0:
            self._last = np.concatenate([self._last, np.full(missing, -1)])
        seconds = ts_ns // NS_PER_S
        pairs = np.stack([symbols, seconds], axis=1)
        _found, first = np.unique(pairs, axis=0, return_index=True)
        first.sort()
        fresh: Int64 = first[seconds[first] != self._last[symbols[first]]]
        self._last[symbols] = seconds  # the last assignment to a symbol stays
        return fresh


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Predictions of one model for one target whose truth is known now.

    Attributes
    ----------
    ts_event_ns
        int64, shape (n,): event time of the prediction.
    scores
        float64, shape (n,): the model's probability or forecast.
    truths
        float64, shape (n,): 0 or 1 for an event, else the realized value.
    """

    target: str
    kind: TargetKind
    model: str
    role: Role
    variant: str | None
    ts_event_ns: Int64
    scores: Float64
    truths: Float64


def classifier_sums(scores: Float64, truths: Float64) -> Float64:
    """Fold probabilities and truths into the vector that figures are computed from.

    Parameters
    ----------
    scores
        float64, shape (n,), in [0, 1].
    truths
        float64, shape (n,), 0 or 1.
    """
    sums = np.zeros(_CLASSIFIER_WIDTH)
    happened = truths > 0.5
    with np.errstate(divide="ignore"):
        odds = np.log(scores) - np.log1p(-scores)
    place = (np.clip(odds, -_ODDS_LIMIT, _ODDS_LIMIT) + _ODDS_LIMIT) * (_BINS / 2 / _ODDS_LIMIT)
    bins = np.minimum(place.astype(np.int64), _BINS - 1)
    sums[_HISTOGRAM] = np.bincount(bins + _BINS * happened, minlength=2 * _BINS)
    tenth = np.minimum((scores * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
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
    hits, misses = positive.sum(), negative.sum()
    count = hits + misses
    prevalence = hits / count
    spread = prevalence * (1 - prevalence)
    brier = sums[_SQUARES] / count
    reliability = _reliability(sums)
    weighted = [abs(each.mean_score - each.truth_rate) * each.count for each in reliability]
    both = bool(hits) and bool(misses)
    return {
        "count": int(count),
        "prevalence": float(prevalence),
        "pr_auc": _average_precision(positive, negative) if both else None,
        "roc_auc": _roc_auc(positive, negative) if both else None,
        "brier": float(brier),
        "brier_skill": float(1 - brier / spread) if both else None,
        "calibration_error": float(sum(weighted) / count),
        "reliability": reliability,
    }


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


def _reliability(sums: Float64) -> list[ReliabilityBin]:
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


@dataclass(slots=True)
class _Model:
    """One model's minutes, oldest first: (number of the minute, sums)."""

    role: Role
    variant: str | None
    minutes: deque[tuple[int, Float64]] = field(default_factory=deque)

    def add(self, minute: int, sums: Float64) -> None:
        for at in range(len(self.minutes) - 1, -1, -1):
            if self.minutes[at][0] == minute:
                np.add(self.minutes[at][1], sums, out=self.minutes[at][1])
                return
            if self.minutes[at][0] < minute:
                self.minutes.insert(at + 1, (minute, sums))
                return
        self.minutes.appendleft((minute, sums))

    def forget_before(self, minute: int) -> None:
        while self.minutes and self.minutes[0][0] < minute:
            self.minutes.popleft()


@dataclass(slots=True)
class _Target:
    kind: TargetKind
    newest_ns: int
    due_ns: int
    models: dict[str, _Model] = field(default_factory=dict)


class QualityMonitor:
    """Rolling figures of every model of every target, all over the same predictions.

    Not safe for use by several threads at once.

    Parameters
    ----------
    window_s
        Length of the window in event time, seconds; cut at whole minutes.
    interval_s
        Event time between two points, seconds.
    """

    def __init__(self, window_s: int = WINDOW_S, interval_s: int = INTERVAL_S) -> None:
        self._minutes = max(1, window_s // MINUTE_S)
        self._interval_ns = interval_s * NS_PER_S
        self._targets: dict[str, _Target] = {}

    def observe(self, evaluated: Evaluated) -> None:
        """Add predictions. Times more than a window older than the newest start the window anew.

        So an old recording can follow a new one.
        """
        if len(evaluated.scores) == 0:
            return
        target = self._target(evaluated)
        model = target.models.get(evaluated.model)
        if model is None:
            model = target.models[evaluated.model] = _Model(evaluated.role, evaluated.variant)
        if evaluated.role == "champion":
            for other in target.models.values():
                other.role = "challenger"
        model.role = evaluated.role
        model.variant = evaluated.variant or model.variant
        fold = classifier_sums if evaluated.kind == "classification" else forecast_sums
        minutes = evaluated.ts_event_ns // (MINUTE_S * NS_PER_S)
        first = target.newest_ns // (MINUTE_S * NS_PER_S) - self._minutes + 1
        for minute in np.unique(minutes).tolist():
            if minute >= first:
                chosen = minutes == minute
                model.add(minute, fold(evaluated.scores[chosen], evaluated.truths[chosen]))

    def points(self) -> list[QualityPoint]:
        """Return a point for each target whose event time has moved on by the interval."""
        found = []
        for name, target in self._targets.items():
            if target.newest_ns >= target.due_ns:
                target.due_ns = target.newest_ns + self._interval_ns
                found.append(self._point(name, target))
        return found

    def _target(self, evaluated: Evaluated) -> _Target:
        newest_ns = int(evaluated.ts_event_ns.max())
        target = self._targets.get(evaluated.target)
        window_ns = self._minutes * MINUTE_S * NS_PER_S
        if target is None or newest_ns < target.newest_ns - window_ns:
            target = _Target(evaluated.kind, newest_ns, newest_ns)
            self._targets[evaluated.target] = target
        if newest_ns > target.newest_ns:
            target.newest_ns = newest_ns
            first = newest_ns // (MINUTE_S * NS_PER_S) - self._minutes + 1
            for name, model in list(target.models.items()):
                model.forget_before(first)
                if not model.minutes:
                    del target.models[name]
        return target

    def _point(self, name: str, target: _Target) -> QualityPoint:
        models = [
            ModelQuality(
                model=ref,
                role=model.role,
                variant=model.variant,
                **self._figures(target.kind, model),
            )
            for ref, model in target.models.items()
            if model.minutes
        ]
        models.sort(key=lambda each: (each.role != "champion", each.model))
        oldest = min(model.minutes[0][0] for model in target.models.values() if model.minutes)
        return QualityPoint(
            target=name,
            kind=target.kind,
            ts_ns=target.newest_ns,
            from_ns=oldest * MINUTE_S * NS_PER_S,
            models=models,
        )

    @staticmethod
    def _figures(kind: TargetKind, model: _Model) -> dict[str, Any]:
        total = np.sum([sums for _minute, sums in model.minutes], axis=0)
        return classifier_figures(total) if kind == "classification" else forecast_figures(total)
