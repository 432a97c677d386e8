"""What is known about a model: its target, its inputs, its proof."""

import math
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

TargetKind = Literal["classification", "regression"]
TimeNs = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""Nanoseconds since the UNIX epoch: what 64 bits hold, so that it can be encoded."""

DataTimeNs = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""As above, of data: bars of a market may be older than the epoch."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=366 * 86_400)]
"""A span that a truth is found over: the arithmetic of nanoseconds has to hold it."""

Provenance = Literal["builtin", "recorded", "live", "simulated", "imported"]


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is predicted, so exactly that two models with equal specs have equal labels.

    Attributes
    ----------
    name
        ``volatility_spike`` or ``forward_return``.
    definition
        ``relative`` (k times the symbol's own hour), ``absolute`` (tau in volatility units) or
        ``return``.
    horizon_s
        How far ahead the truth lies, seconds of event time.
    lookback_s
        The window of the symbol's own volatility for the relative form, seconds.
    percentile
        Which percentile of the training part set ``level``, in (0, 100).
    level
        k or tau; null until training has set it and for a return.
    version
        Rises when the arithmetic changes.
    """

    name: str
    kind: TargetKind
    definition: Literal["relative", "absolute", "return"]
    horizon_s: Seconds = 60
    lookback_s: Seconds = 3600
    percentile: Annotated[float, msgspec.Meta(gt=0, lt=100)] = 90.0
    level: float | None = None
    version: int = 1

    def asks_the_same(self, other: "TargetSpec") -> bool:
        """Return whether two targets differ in nothing but the level that training has set."""
        return msgspec.structs.replace(self, level=None) == msgspec.structs.replace(
            other, level=None
        )


class FeatureReference(msgspec.Struct, frozen=True, kw_only=True):
    """A training histogram of one feature, for drift.

    Attributes
    ----------
    edges
        Rising and finite, one more than ``counts``; both may be empty.
    undefined
        Values that are in no bin.
    """

    feature: str
    edges: list[float]
    counts: list[Count]
    undefined: Count

    def __post_init__(self) -> None:
        """Refuse what nothing can be counted by; where it is decoded, as a validation error."""
        if len(self.counts) != max(0, len(self.edges) - 1):
            message = (
                f"the histogram of {self.feature!r} has {len(self.edges)} edges and"
                f" {len(self.counts)} counts; it takes one edge more than counts"
            )
            raise ValueError(message)
        if not all(map(math.isfinite, self.edges)) or any(a >= b for a, b in pairwise(self.edges)):
            message = f"the edges of the histogram of {self.feature!r} are not finite and rising"
            raise ValueError(message)


class ModelManifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json`` beside ``model.onnx`` in the store.

    Attributes
    ----------
    name, version, variant
        Identity (``name@version``) and kind of estimator (``zscore``, ``logreg``, ``gbt``, ...).
    sha256
        Of ``model.onnx``; the file is loaded only if it matches.
    feature_set, features
        Contract version and the feature names the graph takes, in order: float32, shape
        (n, len(features)). The graph's first output is float32, shape (n, 1) or (n,): the score.
    unused_features
        Features that training left out because they were wholly undefined in its data.
    threshold
        Scores at or above it are a decision; null for a forecast.
    provenance
        Whether its data were recorded, live or simulated; a simulated one never becomes champion
        of a live feed.
    data_from_ns, data_to_ns
        Event time window of the training data.
    data_windows_ns
        Its parts, first and last event time of each, where long silences lie between them.
    metrics
        Figures by name, from folds that the model did not see.
    reference, score_reference
        Histograms of the inputs and of the scores over the training's rows, for drift.
    importances
        Loss of quality by feature where its values are shuffled, on rows that the model did not
        see: fall of PR-AUC for an event, relative rise of RMSE for a forecast. Empty where not
        measured.
    """

    name: str
    version: str
    variant: str
    target: TargetSpec
    sha256: str
    feature_set: int
    features: list[str]
    provenance: Provenance
    created_ns: TimeNs
    opset: int
    threshold: float | None = None
    unused_features: list[str] = []
    data_from_ns: DataTimeNs | None = None
    data_to_ns: DataTimeNs | None = None
    data_windows_ns: list[tuple[DataTimeNs, DataTimeNs]] = []
    data_sources: list[str] = []
    row_count: Count | None = None
    metrics: dict[str, float] = {}
    reference: list[FeatureReference] = []
    score_reference: FeatureReference | None = None
    importances: dict[str, float] = {}
    notes: str = ""

    @property
    def ref(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


class Aliases(msgspec.Struct, frozen=True, kw_only=True):
    """``aliases/<target>.json``: champion and challengers. Replaced as a whole, atomically.

    ``history`` lists former champions, newest last, for a rollback.
    """

    target: str
    champion: str | None = None
    challengers: list[str] = []
    history: list[str] = []
    moved_ns: TimeNs = 0
    moved_by: str = ""
