"""What the status line says of two moments, and when a log without a terminal says it."""

import msgspec
import pytest
import redis
import structlog

from flows.local.status import (
    Snapshot,
    Status,
    fields,
    read_snapshot,
    sentence,
    status_of,
)
from flows.local.status_line import LOG_EVERY_S, LogLines
from flows.numeric.time import NS_PER_MINUTE, NS_PER_MS
from schemas import topics
from schemas.predictions import Prediction, TargetScore
from schemas.quality import ModelQuality, QualityPoint
from tests.support.embedded import Valkey

NOW_NS = 1_767_225_600_000_000_000
TARGET = "volatility_spike"
PAGE = "http://127.0.0.1:8000/"
RATE, LATENCY, SCORE = "6 ticks/s", "4 ms to score", "BTC-USD 0.12 logreg"
QUALITY = "logreg PR-AUC 0.40 (chance 0.10)"


def prediction(
    *, event_ns: int = NOW_NS, latency_ms: int = 4, warm: bool = True, variant: str = "logreg"
) -> Prediction:
    score = TargetScore(score=0.1234, model=variant, version="1", variant=variant)
    return Prediction(
        symbol="BTC-USD",
        venue="simulator",
        ts_event_ns=event_ns,
        trade_id=1,
        price=10.0,
        mid=10.0,
        warm=warm,
        late=False,
        gap=False,
        scores={TARGET: score},
        feature_set=1,
        ts_scored_ns=event_ns + latency_ms * NS_PER_MS,
        partition=0,
        offset=100,
    )


def point(**counts: int) -> QualityPoint:
    models = [
        ModelQuality(
            model=f"{name}@1",
            role="champion",
            variant=name,
            count=count,
            pr_auc=0.4 if count else None,
            prevalence=0.1 if count else None,
        )
        for name, count in counts.items()
    ]
    return QualityPoint(
        target=TARGET, kind="classification", ts_ns=NOW_NS, from_ns=NOW_NS, models=models
    )


def status(now: Snapshot, before: Snapshot | None = None) -> Status:
    return status_of(before or now, now, TARGET, NOW_NS)


def test_before_the_first_score_there_is_nothing_to_say() -> None:
    assert status(Snapshot(1.0)) == Status()
    assert sentence(Status(), PAGE) == "waiting for the first score"


def test_the_line_has_rate_latency_score_quality_and_where_to_look() -> None:
    before = Snapshot(10.0, {0: 100, 1: 50})
    now = Snapshot(15.0, {0: 120, 1: 60, 2: 7}, prediction(), point(zscore=6_000, logreg=805))
    found = status(now, before)
    assert sentence(found, PAGE) == (
        "6 ticks/s · 4 ms to score · BTC-USD 0.12 logreg ·"
        f" logreg PR-AUC 0.40 (chance 0.10), 805 judged · {PAGE}"
    )
    assert fields(found) == {
        "ticks_per_s": 6.0,
        "latency_ms": 4.0,
        "symbol": "BTC-USD",
        "score": 0.123,
        "model": "logreg",
        "warm": True,
        "quality": "logreg PR-AUC 0.40 (chance 0.10)",
        "outcomes": 805,
    }


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (200, f"{RATE} · {LATENCY} · {SCORE} · {QUALITY}, 805 judged · {PAGE}"),
        (115, f"{RATE} · {LATENCY} · {SCORE} · {QUALITY} · {PAGE}"),
        (80, f"{RATE} · {LATENCY} · {SCORE} · {PAGE}"),
        (60, f"{RATE} · {SCORE} · {PAGE}"),
        (50, f"{SCORE} · {PAGE}"),
        (10, f"{SCORE} · {PAGE}"),
    ],
)
def test_a_narrow_terminal_still_says_where_to_look(width: int, line: str) -> None:
    before = Snapshot(10.0, {0: 100, 1: 50})
    now = Snapshot(15.0, {0: 120, 1: 60, 2: 7}, prediction(), point(zscore=6_000, logreg=805))
    assert sentence(status(now, before), PAGE, width) == line


def test_a_model_that_was_not_judged_yet_leaves_the_figures_to_the_one_before() -> None:
    found = status(Snapshot(1.0, {}, prediction(), point(zscore=6_000, logreg=0)))
    assert found.model == "logreg"
    assert (found.quality, found.outcomes) == ("zscore PR-AUC 0.40 (chance 0.10)", 6_000)


def test_a_history_has_no_latency_but_an_age() -> None:
    old = prediction(event_ns=NOW_NS - 30 * NS_PER_MINUTE, latency_ms=29 * 60_000, warm=False)
    found = status(Snapshot(1.0, {}, old))
    assert (found.latency_ms, found.behind_s) == (None, 1_800.0)
    assert sentence(found, None) == "30 min behind · BTC-USD 0.12 logreg, warming up"


def test_figures_are_read_from_redis(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert read_snapshot(client, TARGET, 1.0) == Snapshot(1.0)
        for symbol, made in (("A-B", prediction(latency_ms=1)), ("C-D", prediction(latency_ms=9))):
            client.sadd(topics.SYMBOLS_KEY, symbol)
            found = {"message": msgspec.json.encode(made), "at:0": "7", "log": "1"}
            client.hset(topics.latest_key(symbol), mapping=found)
        client.hset(topics.latest_key("C-D"), mapping={"at:0": "9", "at:3": "4"})
        client.sadd(topics.SYMBOLS_KEY, "E-F")
        client.hset(topics.latest_key("E-F"), mapping={"message": b"foreign"})
        for count in (1, 2):
            message = msgspec.json.encode(point(zscore=count))
            client.xadd(topics.quality_key(TARGET), {"message": message})
        snapshot = read_snapshot(client, TARGET, 2.0)
    assert snapshot.offsets == {0: 9, 3: 4}
    assert snapshot.newest == prediction(latency_ms=9)
    assert snapshot.quality == point(zscore=2)


def test_without_a_terminal_news_are_logged_at_once_and_the_rest_once_a_minute() -> None:
    now_s = [0.0]
    lines = LogLines(lambda: now_s[0])
    first = status(Snapshot(1.0, {}, prediction(variant="zscore")))
    with structlog.testing.capture_logs() as log:
        lines.show(Status())
        assert log == []
        for _ in range(3):
            now_s[0] += 1.0
            lines.show(first)
        assert [line["model"] for line in log] == ["zscore"]
        lines.show(status(Snapshot(1.0, {}, prediction())))
        lines.show(status(Snapshot(1.0, {}, prediction(), point(logreg=5))))
        assert [line.get("outcomes") for line in log] == [None, None, 5]
        now_s[0] += LOG_EVERY_S - 0.1
        lines.show(status(Snapshot(1.0, {}, prediction(), point(logreg=6))))
        assert len(log) == 3
        now_s[0] += 0.2
        lines.show(status(Snapshot(1.0, {}, prediction(), point(logreg=7))))
        assert log[-1]["outcomes"] == 7


@pytest.mark.parametrize("count", [0, 5])
def test_a_forecast_has_an_error_instead_of_an_area(count: int) -> None:
    model = ModelQuality(model="ridge@1", role="champion", variant="ridge", count=count, rmse=2e-4)
    forecast = QualityPoint(
        target=TARGET, kind="regression", ts_ns=NOW_NS, from_ns=NOW_NS, models=[model]
    )
    found = status(Snapshot(1.0, {}, prediction(), forecast))
    assert found.quality == ("ridge RMSE 0.0002" if count else None)
