"""Gather an overview: each part by itself, so that one that is away hides nothing else."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import msgspec
import redis

from flows.connectors.kafka.overview import BrokerView
from flows.connectors.redis.writer import connect
from flows.errors import ModelRejectedError, ModelStoreError, VoltickError
from flows.numeric.time import NS_PER_S
from flows.overview.model import (
    GROUPS,
    GroupView,
    HealthView,
    ModelView,
    Overview,
    SymbolView,
    TopicView,
)
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from schemas import topics
from schemas.decoding import UNREADABLE, decode_or_none
from schemas.drift import DriftReport
from schemas.predictions import Prediction
from schemas.quality import QualityPoint

MAX_SYMBOLS = 50
_API_LIMIT_S = 5.0

T = TypeVar("T")
_Kafka = tuple[list[TopicView], list[GroupView]]
_Redis = tuple[dict[str, QualityPoint], dict[str, DriftReport], list[SymbolView]]

_PREDICTION = msgspec.json.Decoder(Prediction).decode
_QUALITY = msgspec.json.Decoder(QualityPoint).decode
_DRIFT = msgspec.json.Decoder(DriftReport).decode


class Looker:
    """Looks at a running system; asks, and changes nothing.

    Parameters
    ----------
    broker
        None where none is configured.
    """

    def __init__(self, settings: Settings, broker: BrokerView | None) -> None:
        self._settings = settings
        self._broker = broker
        self._problems: list[str] = []

    def look(self) -> Overview:
        """Return everything as it is now."""
        self._problems = []
        no_broker: _Kafka = ([], [])
        no_redis: _Redis = ({}, {}, [])
        no_models: list[ModelView] = []
        views, groups = self._try("Kafka", self._kafka, no_broker)
        quality, drift, symbols = self._try("Redis", self._redis, no_redis)
        models = self._try("model store", lambda: self._models(quality, drift), no_models)
        return Overview(
            ts_ns=time.time_ns(),
            topics=views,
            groups=groups,
            models=models,
            symbols=symbols,
            health=self._health(),
            problems=self._problems,
        )

    def _try(self, what: str, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except (VoltickError, redis.RedisError, OSError) as error:
            self._problems.append(f"{what}: {error}")
            return otherwise

    def _kafka(self) -> _Kafka:
        if self._broker is None:
            self._problems.append("Kafka: KAFKA_BOOTSTRAP_SERVERS is not set")
            return [], []
        found = self._broker.bounds([*topics.ALL, topics.REDRIVEN])
        views = [
            TopicView(
                name=name,
                partitions=len(parts),
                messages=sum(high - low for low, high in parts.values()),
                end=sum(high for _low, high in parts.values()),
            )
            for name, parts in found.items()
        ]
        groups = []
        for flow, (suffix, topic) in GROUPS.items():
            parts = found.get(topic)
            if not parts:
                continue
            group = self._settings.group + suffix
            commits = self._broker.commits(group, topic, len(parts))
            if commits:
                lag = {at: max(parts[at][1] - offset, 0) for at, offset in commits.items()}
                owners = self._broker.owners(group, topic)
                groups.append(GroupView(name=flow, topic=topic, lag=lag, owners=owners))
        return views, groups

    def _redis(self) -> _Redis:
        url = self._settings.redis_url
        if url is None:
            self._problems.append("Redis: REDIS_URL is not set")
            return {}, {}, []
        quality: dict[str, QualityPoint] = {}
        drift: dict[str, DriftReport] = {}
        with connect(url.get_secret_value()) as client:
            for target in self._settings.targets:
                points: Any = client.xrevrange(topics.quality_key(target), count=1)
                point = decode_or_none(_QUALITY, points[0][1].get(b"message")) if points else None
                if point is not None:
                    quality[target] = point
                kept: Any = client.get(topics.drift_key(target))
                report = decode_or_none(_DRIFT, kept)
                if report is not None:
                    drift[target] = report
            return quality, drift, _symbols(client)

    def _models(
        self, quality: dict[str, QualityPoint], drift: dict[str, DriftReport]
    ) -> list[ModelView]:
        store = ModelStore(self._settings.model_store)
        found = []
        for target in self._settings.targets:
            aliases = store.aliases(target)
            refs = [aliases.champion] if aliases.champion is not None else []
            for ref in [*refs, *aliases.challengers]:
                found.append(
                    self._model(store, target, ref, ref == aliases.champion, quality, drift)
                )
        return found

    def _model(
        self,
        store: ModelStore,
        target: str,
        ref: str,
        is_champion: bool,
        quality: dict[str, QualityPoint],
        drift: dict[str, DriftReport],
    ) -> ModelView:
        point, report = quality.get(target), drift.get(target)
        judged = {} if point is None else {each.model: each for each in point.models}
        states = {} if report is None else {each.model: each.state for each in report.models}
        own = judged.get(ref)
        figure, offline = None, None
        try:
            manifest = store.manifest(ref)
        except (ModelRejectedError, ModelStoreError) as error:
            self._problems.append(f"model {ref}: {error}")
        else:
            figure = "pr_auc" if manifest.target.kind == "classification" else "rmse"
            offline = manifest.metrics.get(figure)
        return ModelView(
            target=target,
            model=ref,
            role="champion" if is_champion else "challenger",
            judged=None if own is None else own.count,
            figure=figure,
            live=None if own is None or figure is None else getattr(own, figure),
            offline=offline,
            drift=states.get(ref),
        )

    def _health(self) -> HealthView:
        own = self._settings
        host = "127.0.0.1" if own.api_host in ("0.0.0.0", "::", "") else own.api_host  # noqa: S104
        address = f"http://{f'[{host}]' if ':' in host else host}:{own.api_port}"
        try:
            answer = httpx.get(f"{address}{own.api_root_path}/health", timeout=_API_LIMIT_S)
            return msgspec.json.decode(answer.content, type=HealthView)
        except (httpx.HTTPError, *UNREADABLE) as error:
            self._problems.append(f"API: {address} does not answer: {error}")
            return HealthView(status="unreachable")


def _symbols(client: redis.Redis) -> list[SymbolView]:
    """Return the symbols that were scored last, by name."""
    names: Any = client.smembers(topics.SYMBOLS_KEY)
    with client.pipeline(transaction=False) as pipeline:
        for name in sorted(names):
            pipeline.hget(topics.LATEST_KEY_PREFIX.encode() + name, "message")
        messages = pipeline.execute()
    newest = [decode_or_none(_PREDICTION, message) for message in messages]
    known = sorted(
        (each for each in newest if each is not None), key=lambda each: -each.ts_scored_ns
    )
    now_ns = time.time_ns()
    shown = [
        SymbolView(
            symbol=each.symbol,
            venue=each.venue,
            age_s=(now_ns - each.ts_scored_ns) / NS_PER_S,
            price=each.price,
            scores={target: own.score for target, own in each.scores.items()},
        )
        for each in known[:MAX_SYMBOLS]
    ]
    return sorted(shown, key=lambda each: each.symbol)
