"""How the first minute is read from the log, from the API and from Python's import times."""

import json
from datetime import UTC, datetime

import pytest

from tests.bench.first_minute import Watch, logged_steps, longest_imports

STARTED_S = 1_767_225_600.0


def line(event: str, after_s: float, **fields: str) -> str:
    at = datetime.fromtimestamp(STARTED_S + after_s, UTC).isoformat()
    return json.dumps({"event": event, "timestamp": at, **fields})


def test_a_step_ends_when_the_log_first_tells_it() -> None:
    log = [
        "not a line of the log",
        "[1]",
        line("the embedded broker answers", 0.5),
        line("compiled", 9.25, kernel="flows.features.kernel:feature_kernel"),
        line("compiled", 12.0, kernel="flows.features.kernel:feature_kernel"),
        line("something else", 3.0),
        line("compiled", 7.0, kernel="flows.targets.realize:label_kernel"),
    ]
    assert logged_steps(iter(log), STARTED_S) == {
        "broker": pytest.approx(0.5),
        "feature kernel compiled": pytest.approx(9.25),
        "label kernel compiled": pytest.approx(7.0),
    }


def prediction(variant: str, *, warm: bool, age_ms: int) -> dict:
    scores = {"volatility_spike": {"variant": variant}}
    return {"warm": warm, "event_age_ms": age_ms, "scores": scores}


def test_a_thing_is_seen_when_the_api_first_shows_it() -> None:
    now_s = [0.0]
    answers: dict[str, dict | None] = {}
    watch = Watch(
        lambda path: answers.get(path.partition("?")[0]),
        lambda: now_s[0],
    )

    def look(after_s: float, **shown: dict) -> None:
        now_s[0] = after_s
        answers.update({f"/{path}": answer for path, answer in shown.items()})
        watch.look()

    look(1.0)
    assert watch.steps == {}
    look(2.0, health={"status": 503}, scores={"error": {}})
    look(3.0, scores={"scores": [prediction("zscore", warm=False, age_ms=5_000_000)]})
    look(4.0, scores={"scores": [prediction("zscore", warm=True, age_ms=900_000)]})
    look(5.0, scores={"scores": [prediction("zscore", warm=True, age_ms=10)]})
    models = [{"model": "zscore@1", "variant": "zscore", "count": 0}]
    look(6.0, quality={"points": [{"models": models}]})
    models = [{"model": "zscore@1", "variant": "zscore", "count": 9}]
    look(7.0, quality={"points": [{"models": models}]})
    look(8.0, scores={"scores": [prediction("logreg", warm=True, age_ms=10)]})
    models = [*models, {"model": "logreg@2", "variant": "logreg", "count": 3}]
    look(9.0, quality={"points": [{"models": models}]})
    assert watch.steps == {
        "API answers": 2.0,
        "first score": 3.0,
        "first warm score": 4.0,
        "scores of now": 5.0,
        "live quality": 7.0,
        "learned model on warm features": 8.0,
        "live quality of a learned model": 9.0,
    }
    assert watch.counts == {"zscore": 9, "logreg": 3}


def test_imports_are_added_up_by_package() -> None:
    report = "\n".join(
        [
            "import time: self [us] | cumulative | imported package",
            "import time:      1500 |       1500 |   numpy._core",
            "import time:       500 |       2000 | numpy",
            "import time:     10000 |      12000 | redis.client",
            "a warning | of | somebody",
        ]
    )
    assert longest_imports(report) == {"total": 12.0, "redis": 10.0, "numpy": 2.0}
    assert longest_imports(report, 1) == {"total": 12.0, "redis": 10.0}
