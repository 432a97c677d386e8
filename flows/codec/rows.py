"""What the stages add to a tick batch: feature rows and scores, as columns."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from flows.numeric.arrays import Bool, Float32, Float64, Int64, UInt8
from schemas.models import ModelManifest, TargetKind

FLOAT32_MAX = np.finfo(np.float32).max


@dataclass(frozen=True)
class FeatureRows:
    """One row per tick of a batch, in its order.

    Attributes
    ----------
    values64
        float64, shape (n, len(FEATURES)), NaN where undefined. A duplicate's row is all NaN and
        must not be output.
    flags
        uint8, shape (n,): the sum of ``DUPLICATE``, ``LATE``, ``RESTART`` (the symbol's memory
        began anew with this tick; so it did with its first), ``GAP`` and ``WARM``.
    mid
        float64, shape (n,): mid price, NaN for a duplicate.
    ts_effective_ns
        int64, shape (n,): the newest time of the symbol so far.
    rebuild_from
        A run that starts at this offset or an earlier one reaches the state after this batch.
        Above any offset while no symbol is in memory: use the lesser of it and the batch's next
        offset.
    """

    values64: Float64
    flags: UInt8
    mid: Float64
    ts_effective_ns: Int64
    rebuild_from: int

    @cached_property
    def values(self) -> Float32:
        """``values64`` as the models take it: float32, same shape, overflow held at the limits."""
        with np.errstate(over="ignore"):  # to infinity, which is then held, too
            values: Float32 = self.values64.astype(np.float32)
        return np.clip(values, -FLOAT32_MAX, FLOAT32_MAX, out=values)


@dataclass(frozen=True)
class TargetScores:
    """One target's scores for one batch.

    Attributes
    ----------
    manifest
        Of the champion that scored.
    scores
        float64, shape (n,): probabilities in [0, 1], or the forecast.
    threshold
        Scores at or above it are a decision; None for a forecast.
    shadow
        Challengers' scores by ``name@version``, each float64, shape (n,).
    """

    target: str
    kind: TargetKind
    manifest: ModelManifest
    scores: Float64
    threshold: float | None
    shadow: dict[str, Float64] = field(default_factory=dict)

    @property
    def decisions(self) -> Bool | None:
        """Where the score is at or above the threshold, shape (n,); None for a forecast."""
        return None if self.threshold is None else self.scores >= self.threshold
