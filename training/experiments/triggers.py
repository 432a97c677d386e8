"""Why a model should be trained now: drift, decayed live quality, or none that was trained."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import redis
import structlog

from flows.connectors.redis.writer import connect
from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.drift import DriftReport, ModelDrift
from schemas.models import ModelManifest
from schemas.quality import ModelQuality, QualityPoint

DECAYED: Final = 0.7
"""A PR-AUC below this share of what training found has decayed, or an RMSE above its inverse."""
JUDGED: Final = 1_000
"""With fewer predictions held against the truth, a figure says little."""

_DRIFT = msgspec.json.Decoder(DriftReport).decode
_QUALITY = msgspec.json.Decoder(QualityPoint).decode


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason to train; ``text`` is for the log and the history."""

    kind: Literal["drift", "misfit", "decay", "untrained"]
    text: str


def causes_of(
    champion: ModelManifest | None, drift: ModelDrift | None, quality: ModelQuality | None
) -> list[Cause]:
    """Return why the champion should be replaced; empty where all is well.

    Parameters
    ----------
    drift, quality
        The champion's; None where not known.
    """
    if champion is None or champion.provenance == "builtin":
        return [Cause("untrained", "no model that was trained is the champion")]
    found = []
    if drift is not None and drift.state in ("drift", "misfit"):
        kind: Literal["drift", "misfit"] = "drift" if drift.state == "drift" else "misfit"
        found.append(Cause(kind, f"{champion.ref}: {'; '.join(drift.causes)}"))
    if quality is not None and quality.count >= JUDGED:
        found += _decay(champion, quality)
    return found


def _decay(champion: ModelManifest, quality: ModelQuality) -> list[Cause]:
    for name, is_worse in (("pr_auc", _is_below), ("rmse", _is_above)):
        live, offline = getattr(quality, name), champion.metrics.get(name)
        if live is not None and offline is not None and is_worse(live, offline):
            text = f"{champion.ref}: {name} is {live:.3g}, training found {offline:.3g}"
            return [Cause("decay", text)]
    return []


def _is_below(live: float, offline: float) -> bool:
    return live < DECAYED * offline


def _is_above(live: float, offline: float) -> bool:
    return live > offline / DECAYED


class Triggers:
    """Looks for causes, and finds none until the last model that was trained has cooled down.

    Parameters
    ----------
    url
        Of the Redis that ``flows.outcomes`` writes to.
    cooldown_s
        Time after a training that gave a model, for which the same causes give no other one. One
        that was refused, for too few ticks or a broker that was away, cools nothing.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        store: ModelStore,
        target: str,
        url: str,
        cooldown_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._target = target
        self._url = url
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._trained_s: float | None = None

    def look(self) -> list[Cause]:
        """Return why to train now; the caller trains where there is any."""
        log = structlog.get_logger()
        causes = self._causes()
        if not causes:
            log.info("no cause to train", target=self._target)
            return []
        since_s = None if self._trained_s is None else self._clock() - self._trained_s
        texts = [cause.text for cause in causes]
        if since_s is not None and since_s < self._cooldown_s:
            left_s = round(self._cooldown_s - since_s)
            log.info("not trained again yet", target=self._target, causes=texts, cooling_s=left_s)
            return []
        log.warning("training", target=self._target, causes=texts)
        return causes

    def note_model(self) -> None:
        """Begin to cool: a training has given a model."""
        self._trained_s = self._clock()

    def _causes(self) -> list[Cause]:
        try:
            ref = self._store.aliases(self._target).champion
            champion = None if ref is None else self._store.manifest(ref)
        except (ModelRejectedError, ModelStoreError):  # broken: train another one
            champion = None
        if champion is None:
            return causes_of(None, None, None)
        drift, quality = self._live(champion.ref)
        return causes_of(champion, drift, quality)

    def _live(self, ref: str) -> tuple[ModelDrift | None, ModelQuality | None]:
        try:
            with connect(self._url) as client:
                kept: Any = client.get(topics.drift_key(self._target))
                points: Any = client.xrevrange(topics.quality_key(self._target), count=1)
        except (redis.RedisError, OSError) as error:
            structlog.get_logger().warning(
                "drift and live quality are not known", cause=type(error).__name__
            )
            return None, None
        report = decode_or_none(_DRIFT, kept)
        point = decode_or_none(_QUALITY, points[0][1].get(b"message")) if points else None
        drifts = [] if report is None else [each for each in report.models if each.model == ref]
        figures = [] if point is None else [each for each in point.models if each.model == ref]
        return next(iter(drifts), None), next(iter(figures), None)
