"""What a run does at this moment: rate, latency, score, quality, and where to look."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.predictions import Prediction, TargetScore
from schemas.quality import ModelQuality, QualityPoint

if TYPE_CHECKING:
    import redis

LONGEST_LATENCY_S = 10
"""A score that lies further behind its tick tells of a history or a recording, not of the flow."""

_SEPARATOR = " · "
# What a narrow terminal's line does without, the first first.
_LEFT_OUT = ("judged", "quality", "latency", "rate")

_PREDICTION = msgspec.json.Decoder(Prediction).decode
_QUALITY = msgspec.json.Decoder(QualityPoint).decode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What Redis shows at one moment.

    Attributes
    ----------
    at_s
        Monotonic seconds.
    offsets
        Newest scored offset of each partition.
    newest
        The prediction that was scored last; None where there is none.
    quality
        Newest point of live quality; None where there is none.
    """

    at_s: float
    offsets: Mapping[int, int] = field(default_factory=dict)
    newest: Prediction | None = None
    quality: QualityPoint | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Figures for a line; None where there is none.

    Attributes
    ----------
    behind_s
        How far the newest tick lies in the past, where that is more than latency.
    """

    ticks_per_s: float | None = None
    latency_ms: float | None = None
    behind_s: float | None = None
    symbol: str | None = None
    score: float | None = None
    model: str | None = None
    warm: bool | None = None
    quality: str | None = None
    outcomes: int | None = None


def read_snapshot(client: "redis.Redis", target: str, at_s: float) -> Snapshot:
    """Read what Redis shows now.

    Raises
    ------
    redis.RedisError
        It does not answer.
    """
    offsets: dict[int, int] = {}
    newest: Prediction | None = None
    symbols: Any = client.smembers(topics.SYMBOLS_KEY)
    for symbol in sorted(symbols):
        found: Any = client.hgetall(topics.latest_key(symbol.decode()))
        for name, value in found.items():
            if name.startswith(b"at:"):
                partition, offset = int(name[3:]), int(value)
                offsets[partition] = max(offset, offsets.get(partition, 0))
        prediction = decode_or_none(_PREDICTION, found.get(b"message"))
        if prediction is not None and (
            newest is None or prediction.ts_scored_ns > newest.ts_scored_ns
        ):
            newest = prediction
    points: Any = client.xrevrange(topics.quality_key(target), count=1)
    quality = decode_or_none(_QUALITY, points[0][1].get(b"message")) if points else None
    return Snapshot(at_s, offsets, newest, quality)


def status_of(before: Snapshot, now: Snapshot, target: str, now_ns: int) -> Status:
    """Return the figures of two moments.

    Parameters
    ----------
    now_ns
        This host's clock, nanoseconds since the UNIX epoch.
    """
    scored = now.newest
    if scored is None:
        return Status()
    latency_ns = scored.ts_scored_ns - scored.ts_event_ns
    is_live = 0 <= latency_ns <= LONGEST_LATENCY_S * NS_PER_S
    score = scored.scores.get(target)
    judged = None if now.quality is None else _judged(now.quality, score)
    return Status(
        ticks_per_s=_rate(before, now),
        latency_ms=latency_ns / NS_PER_MS if is_live else None,
        behind_s=None if is_live else (now_ns - scored.ts_event_ns) / NS_PER_S,
        symbol=scored.symbol,
        score=None if score is None else score.score,
        model=None if score is None else score.variant,
        warm=scored.warm,
        quality=None if judged is None else _figure(judged),
        outcomes=None if judged is None else judged.count,
    )


def _rate(before: Snapshot, now: Snapshot) -> float | None:
    passed_s = now.at_s - before.at_s
    known = before.offsets.keys() & now.offsets.keys()
    if passed_s <= 0 or not known:
        return None
    return sum(now.offsets[each] - before.offsets[each] for each in known) / passed_s


def _judged(point: QualityPoint, score: TargetScore | None) -> ModelQuality | None:
    """Return the figures of the model that scores, else of the one that was judged longest."""
    judged = [model for model in point.models if model.count > 0]
    ref = None if score is None else f"{score.model}@{score.version}"
    own = [model for model in judged if model.model == ref]
    return max(own or judged, key=lambda model: model.count, default=None)


def _figure(model: ModelQuality) -> str | None:
    name = model.variant or model.model.partition("@")[0]
    if model.pr_auc is not None and model.prevalence is not None:
        return f"{name} PR-AUC {model.pr_auc:.2f} (chance {model.prevalence:.2f})"
    if model.rmse is not None:
        return f"{name} RMSE {model.rmse:.2g}"
    return None


def sentence(status: Status, page: str | None, width: int | None = None) -> str:
    """Return one line for a terminal.

    Parameters
    ----------
    page
        Where to look; None without an API.
    width
        Of the terminal: what does not fit is left out, whole parts of the line, those first that
        the page tells as well. None for all of it.
    """
    if status.symbol is None:
        return "waiting for the first score"
    parts = {}
    if status.ticks_per_s is not None:
        parts["rate"] = f"{status.ticks_per_s:,.0f} ticks/s"
    if status.latency_ms is not None:
        parts["latency"] = f"{status.latency_ms:.0f} ms to score"
    elif status.behind_s is not None:
        parts["latency"] = f"{status.behind_s / 60:,.0f} min behind"
    if status.score is not None:
        warming = "" if status.warm else ", warming up"
        parts["score"] = f"{status.symbol} {status.score:.2f} {status.model}{warming}"
    if status.quality is not None:
        parts["quality"] = f"{status.quality}, {status.outcomes:,} judged"
    if page is not None:
        parts["page"] = page
    for name in _LEFT_OUT:
        if width is None or len(_SEPARATOR.join(parts.values())) <= width:
            break
        if name == "judged" and status.quality is not None:
            parts["quality"] = status.quality
        else:
            parts.pop(name, None)
    return _SEPARATOR.join(parts.values())


def fields(status: Status) -> dict[str, object]:
    """Return the figures that are known, for a line of the log."""
    known = {name: getattr(status, name) for name in Status.__slots__}
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in known.items()
    }
    return {name: value for name, value in rounded.items() if value is not None}
