"""How well the served models do on what really happened: one point of the live quality history."""

from typing import Annotated, Literal

import msgspec

from schemas.models import TargetKind
from schemas.ticks import Int64


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions whose score lay in [low, high), the last bin [low, high].

    ``mean_score`` is what they promised and ``truth_rate`` what happened, both in [0, 1].
    """

    low: float
    high: float
    count: Int64
    mean_score: float
    truth_rate: float


class ModelQuality(msgspec.Struct, frozen=True, kw_only=True):
    """One model's figures over the window; a figure is null where it is undefined.

    Attributes
    ----------
    model, variant
        ``name@version`` and kind of estimator (null for a challenger, whose message names only
        its reference).
    role
        ``champion`` decided, ``challenger`` scored in its shadow.
    count
        Evaluated predictions in the window.
    prevalence
        Share of positive truths, in [0, 1]: the PR-AUC of a random score.
    pr_auc, roc_auc
        Area under the precision-recall curve (average precision) and under the ROC curve; null
        while only one class was seen.
    brier, brier_skill
        Mean squared error of the probability and 1 - brier / (prevalence (1 - prevalence)).
    calibration_error
        Mean of ``|mean_score - truth_rate|`` over the bins, weighted by count.
    rmse, mae
        Of a forecast, in the target's unit.
    persistence_rmse, persistence_mae
        Of the forecast that nothing changes (a return of zero).
    """

    model: str
    role: Literal["champion", "challenger"]
    count: Int64
    variant: str | None = None
    prevalence: float | None = None
    pr_auc: float | None = None
    roc_auc: float | None = None
    brier: float | None = None
    brier_skill: float | None = None
    calibration_error: float | None = None
    reliability: list[ReliabilityBin] = []
    rmse: float | None = None
    mae: float | None = None
    persistence_rmse: float | None = None
    persistence_mae: float | None = None


class ModelWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One model's part of a window.

    Attributes
    ----------
    from_ns
        Event time of the oldest prediction, nanoseconds since the UNIX epoch.
    sums
        What figures are computed from, float64, little-endian; base64 in JSON.
    """

    from_ns: Int64
    sums: bytes
    variant: str | None = None


class QualityWindow(msgspec.Struct, frozen=True, kw_only=True):
    """What one partition adds to a target's live quality, in Redis for the other processes.

    Attributes
    ----------
    ts_ns
        Event time of the partition's newest truth, nanoseconds since the UNIX epoch.
    champion
        The model that decides, by ``name@version``, as far as this partition tells.
    models
        By ``name@version``; at least one.
    """

    target: str
    kind: TargetKind
    partition: Int64
    ts_ns: Int64
    models: Annotated[dict[str, ModelWindow], msgspec.Meta(min_length=1)]
    champion: str | None = None


class QualityPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Every model of one target, evaluated over the same window.

    Attributes
    ----------
    ts_ns
        Event time of the newest truth, nanoseconds since the UNIX epoch.
    from_ns
        Event time of the oldest prediction in the window, same unit.
    """

    target: str
    kind: TargetKind
    ts_ns: Int64
    from_ns: Int64
    models: list[ModelQuality]
    partition: int | None = None
