"""Why a model is trained now, and when it is not."""

import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest
import redis

from flows.errors import TrainingError
from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.drift import DriftReport, ModelDrift
from schemas.models import ModelManifest
from schemas.quality import ModelQuality, QualityPoint
from schemas.training import TrainingResult
from tests.support.api import DEAD_REDIS
from tests.support.embedded import Valkey
from tests.support.models import SPIKE, linear_graph, manifest_for, publish_tiny
from training.experiments.continuous import run_continuously
from training.experiments.trainer_metrics import TrainerMetrics
from training.experiments.triggers import JUDGED, Cause, Triggers, causes_of
from training.reporting.history import MetricsHistory
from training.retrain import _look, _observe

CHAMPION = msgspec.structs.replace(
    manifest_for(linear_graph([0.0], 0.0)), metrics={"pr_auc": 0.3, "rmse": 1.0}
)


def drift(state: str, ref: str = CHAMPION.ref) -> ModelDrift:
    return ModelDrift(model=ref, state=state, causes=["much has moved"], rows=1_000)


def quality(count: int = JUDGED, ref: str = CHAMPION.ref, **figures: float) -> ModelQuality:
    return ModelQuality(model=ref, role="champion", count=count, **figures)


@pytest.mark.parametrize(
    ("champion", "drifted", "judged", "kinds"),
    [
        (None, None, None, ["untrained"]),
        (msgspec.structs.replace(CHAMPION, provenance="builtin"), None, None, ["untrained"]),
        (CHAMPION, None, None, []),
        (CHAMPION, drift("stable"), quality(pr_auc=0.25), []),
        (CHAMPION, drift("unknown"), None, []),
        (CHAMPION, drift("drift"), None, ["drift"]),
        (CHAMPION, drift("misfit"), quality(pr_auc=0.2), ["misfit", "decay"]),
        (CHAMPION, None, quality(count=JUDGED - 1, pr_auc=0.1), []),
        (CHAMPION, None, quality(rmse=1.3), []),
        (CHAMPION, None, quality(rmse=1.5), ["decay"]),
    ],
    ids=[
        "no champion",
        "built in",
        "nothing known",
        "all well",
        "unknown",
        "drift",
        "misfit and decay",
        "too few",
        "forecast well",
        "forecast decayed",
    ],
)
def test_a_cause_is_drift_decay_or_the_want_of_a_trained_model(
    champion: ModelManifest | None,
    drifted: ModelDrift | None,
    judged: ModelQuality | None,
    kinds: list[str],
) -> None:
    assert [cause.kind for cause in causes_of(champion, drifted, judged)] == kinds


def test_causes_are_read_from_redis_and_give_one_training_until_it_has_cooled(
    tmp_path: Path, valkey: Valkey, database: redis.Redis
) -> None:
    store = ModelStore(tmp_path)
    ref = publish_tiny(store, 0.2)
    store.install(SPIKE.name, champion=ref, by="test")
    now_s = [0.0]
    triggers = Triggers(store, SPIKE.name, valkey.url, 100.0, lambda: now_s[0])
    assert triggers.look() == []
    report = DriftReport(target=SPIKE.name, ts_ns=2, from_ns=1, models=[drift("drift", ref)])
    database.set(topics.drift_key(SPIKE.name), msgspec.json.encode(report))
    point = QualityPoint(
        target=SPIKE.name,
        kind="classification",
        ts_ns=2,
        from_ns=1,
        models=[quality(ref=ref, pr_auc=0.01)],
    )
    database.xadd(topics.quality_key(SPIKE.name), {"message": msgspec.json.encode(point)})
    assert [cause.kind for cause in triggers.look()] == ["drift"]
    triggers.note_model()
    now_s[0] = 99.0
    assert triggers.look() == []
    now_s[0] = 100.0
    assert [cause.kind for cause in triggers.look()] == ["drift"]


def test_without_redis_only_the_store_tells(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    triggers = Triggers(store, SPIKE.name, DEAD_REDIS, 0.0)
    assert [cause.kind for cause in triggers.look()] == ["untrained"]
    store.install(SPIKE.name, champion=publish_tiny(store, 0.2), by="test")
    assert triggers.look() == []


def test_a_training_that_was_refused_is_tried_again_at_the_next_turn(tmp_path: Path) -> None:
    triggers = Triggers(ModelStore(tmp_path), SPIKE.name, DEAD_REDIS, 1e9)
    metrics = TrainerMetrics()
    stop = threading.Event()
    turns: list[int] = []
    ends: list[TrainingError | None] = [TrainingError("too few ticks"), None]

    def due() -> list[Cause]:
        turns.append(len(ends))
        if len(turns) == 4:
            stop.set()
        return _look(triggers, SPIKE.name, metrics)

    def run() -> tuple[TrainingResult, list[str]]:
        error = ends.pop(0)
        if error is not None:
            raise error
        return TrainingResult(target="t", version="a@1", published=True, champion=False), []

    history = MetricsHistory(tmp_path / "history.ndjson")
    observe = partial(_observe, triggers, SPIKE.name, metrics)
    run_continuously(run, None, history, ["x"], every_s=0.0, stop=stop, due=due, observe=observe)
    assert turns == [2, 1, 0, 0]
    assert [entry.get("error") for entry in history.read()] == ["too few ticks", None]


def test_a_turn_without_a_cause_trains_nothing_and_the_history_names_causes(tmp_path: Path) -> None:
    stop = threading.Event()
    turns = [[], [Cause("drift", "moved")], []]
    runs: list[int] = []

    def due() -> list[Cause]:
        if len(turns) == 1:
            stop.set()
        return turns.pop(0)

    def run() -> tuple[TrainingResult, list[str]]:
        runs.append(1)
        return TrainingResult(target="t", version="a@1", published=True, champion=True), []

    history = MetricsHistory(tmp_path / "history.ndjson")
    run_continuously(run, None, history, ["x"], every_s=0.0, stop=stop, due=due)
    assert len(runs) == 1
    assert [entry["causes"] for entry in history.read()] == [["moved"]]
