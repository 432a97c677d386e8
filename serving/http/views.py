"""Bodies of the API's answers; messages of ``schemas`` are passed on as they are."""

from typing import Any, Literal

import msgspec

from schemas.drift import DriftReport
from schemas.models import Aliases, ModelManifest, Provenance, TargetKind
from schemas.predictions import Prediction
from schemas.quality import QualityPoint

Feed = Literal["SIMULATED", "recorded or live", "unknown"]


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: a stable ``code``, a sentence, and particulars where they help."""

    code: str
    message: str
    detail: Any = None


class ErrorResponse(msgspec.Struct, frozen=True):
    """The one shape of every error."""

    error: ErrorBody


class ScoreView(Prediction, frozen=True, kw_only=True, gc=False):
    """The latest prediction of a symbol.

    Attributes
    ----------
    age_ms
        Milliseconds since it was scored.
    event_age_ms
        Milliseconds since the tick's event time; large while a recording is replayed.
    stale
        True where ``age_ms`` or ``clock_ahead_ms`` is above ``VOLTICK_STALE_AFTER_S``.
    clock_ahead_ms
        Milliseconds by which it is dated ahead of this host's clock; ``age_ms`` is 0 then. One of
        the two clocks is wrong, and the true age is not known.
    """

    age_ms: int
    event_age_ms: int
    stale: bool
    clock_ahead_ms: int = 0


class ScoresResponse(msgspec.Struct, frozen=True):
    """The latest prediction of every symbol, by name."""

    scores: list[ScoreView]
    simulated: bool


class HistoryResponse(msgspec.Struct, frozen=True):
    """Sampled predictions of a symbol, oldest first."""

    symbol: str
    points: list[Prediction]


class QualityResponse(msgspec.Struct, frozen=True):
    """Live quality of a target's models, oldest first, and how far they are from their training.

    ``drift`` is null until features and scores were compared.
    """

    target: str
    points: list[QualityPoint]
    drift: DriftReport | None = None


class CheckResult(msgspec.Struct, frozen=True):
    """The state of one thing that the service needs."""

    ok: bool
    detail: str


class HealthReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether scores can be relied on now; ``error`` is there where they cannot.

    ``warnings`` name what is wrong without making scores unusable, such as clocks that disagree.
    """

    status: Literal["ok", "unavailable"]
    failing: list[str]
    warnings: list[str]
    feed: Feed
    simulated: bool | None
    checks: dict[str, CheckResult]
    error: ErrorBody | None = None


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model that answers for a target."""

    model: str
    variant: str
    provenance: Provenance
    kind: TargetKind
    threshold: float | None
    pinned: bool
    challengers: list[str]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks with an event time in [from_ns, until_ns) that were sent at full speed at the start.

    They were scored and judged then. A market saw them only where they were recorded from one.
    """

    origin: Literal["simulated", "recorded"]
    from_ns: int
    until_ns: int


class VersionReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which code and which models answer; ``replay`` where a recording is sent again.

    Only the process that names the feed can know of a recording: an all-in-one run tells its API.
    """

    name: str
    version: str
    feature_set: int
    feed: Feed
    simulated: bool | None
    stale_after_s: float
    targets: dict[str, ServedModel | None]
    problems: list[str]
    history: History | None = None
    replay: bool = False


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version in the store, without its reference histograms."""

    ref: str
    target: str
    kind: TargetKind
    variant: str
    provenance: Provenance
    feature_set: int
    created_ns: int
    role: Literal["champion", "challenger", "none"]
    threshold: float | None
    metrics: dict[str, float]


class ModelsResponse(msgspec.Struct, frozen=True):
    """The store's versions, newest first, and what serves.

    ``aliases`` is what the store asks for, ``serving`` the champion that is loaded for each target.
    They differ while a model cannot be loaded (``problems`` says why) or a setting overrides it.
    """

    models: list[ModelSummary]
    aliases: dict[str, Aliases]
    serving: dict[str, str] = {}
    problems: list[str] = []


class ModelDetail(msgspec.Struct, frozen=True):
    """A version's whole manifest; its file has been checked against its hash."""

    ref: str
    role: Literal["champion", "challenger", "none"]
    manifest: ModelManifest


class FeatureView(msgspec.Struct, frozen=True):
    """One input of ``POST /predict``; ``low`` and ``high`` are null where unbounded."""

    name: str
    unit: str
    low: float | None
    high: float | None
    formula: str
    nullable: bool
    undefined: str


class FeaturesResponse(msgspec.Struct, frozen=True):
    """The feature contract."""

    feature_set: int
    features: list[FeatureView]


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Feature rows, each with every name of the contract; null only where it may be undefined."""

    rows: list[dict[str, float | None]]


class PredictResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One score per row, in order; ``decisions`` is null for a forecast."""

    scores: list[float]
    decisions: list[bool] | None
    target: str
    model: str
    version: str
    model_variant: str
    feature_set: int
    ts: str


class ChampionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version to serve, ``name@version``."""

    model: str


class ShadowRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions to score in the champion's shadow; empty for none."""

    models: list[str]


class AliasesResponse(msgspec.Struct, frozen=True):
    """A target's champion and challengers after the move."""

    aliases: Aliases
