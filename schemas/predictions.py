"""What the pipeline says about a tick, and what became of it."""

import math
import struct

import msgspec

from schemas.ticks import Count32, Count64, Int64


class TargetScore(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The champion's score for one target, with the challengers that scored in its shadow.

    Attributes
    ----------
    score
        A probability in [0, 1] for a classifier, the forecast in the target's unit otherwise.
    decision
        ``score >= threshold`` of the manifest; null for a forecast.
    model, version, variant
        Which model scored: name, version and kind of estimator.
    shadow
        Challengers' scores by ``model@version``.
    """

    score: float
    model: str
    version: str
    variant: str
    decision: bool | None = None
    shadow: dict[str, float] = {}


class Prediction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``predictions``: exactly one for each scored offset of ``ticks.raw``.

    Attributes
    ----------
    mid
        Mid price of the tick: (bid + ask) / 2, or its price where it has no quote.
    warm
        True once the symbol has 300 s of history.
    late
        True where the tick was older than its symbol's newest; it was scored at the newest time.
    restart
        True where the symbol's memory began anew with this tick.
    partition, offset
        Where in ``ticks.raw`` the tick came from.
    """

    symbol: str
    venue: str
    ts_event_ns: Int64
    trade_id: Count64 | None
    price: float
    mid: float
    warm: bool
    late: bool
    gap: bool
    restart: bool = False
    scores: dict[str, TargetScore]
    feature_set: Count32
    ts_scored_ns: Int64
    partition: Count32
    offset: Count64


class FeatureRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``ticks.features``: values in the order of ``schemas.features.FEATURES``.

    Values are float32, written in one of two forms. Decoding turns the second into the first.

    Attributes
    ----------
    values
        Numbers, null for an undefined one; empty where they are in ``values_f32``.
    values_f32
        Base64 of the values as little-endian float32, NaN for an undefined one; null or left out
        where they are in ``values``.

    Raises
    ------
    ValueError
        ``values_f32`` is no whole number of float32.
    """

    symbol: str
    venue: str
    ts_event_ns: Int64
    feature_set: Count32
    warm: bool
    values: list[float | None]
    values_f32: bytes | None = None
    partition: Count32
    offset: Count64

    def __post_init__(self) -> None:
        """Unpack ``values_f32``."""
        packed = self.values_f32
        if packed is None:
            return
        if not self.values:
            if len(packed) % 4:
                message = f"values_f32 has {len(packed)} bytes, no multiple of 4"
                raise ValueError(message)
            found = struct.unpack(f"<{len(packed) // 4}f", packed)
            values = [value if math.isfinite(value) else None for value in found]
            msgspec.structs.force_setattr(self, "values", values)
        msgspec.structs.force_setattr(self, "values_f32", None)


class OutcomeScore(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A prediction's score for one target beside the truth."""

    score: float
    model: str
    version: str
    variant: str
    truth: float
    value: float
    shadow: dict[str, float] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on ``outcomes``: a prediction joined with what really happened.

    ``offset`` is the prediction's own lineage in ``ticks.raw``; ``known_offset`` is the offset on
    ``predictions`` that made the truth known. ``truth`` is 0 or 1 for an event and the realized
    value for a forecast; ``value`` is the quantity it was judged by.
    """

    symbol: str
    venue: str
    ts_event_ns: Int64
    ts_known_ns: Int64
    scores: dict[str, OutcomeScore]
    feature_set: Count32
    partition: Count32
    offset: Count64
    known_offset: Count64
