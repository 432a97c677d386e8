"""Contributions, dead letters and progress, from the topics of a real broker."""

import time

import httpx
import numpy as np
import pytest

from flows.scoring.baseline import FEATURE, ensure_baseline
from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.features import FEATURE_SET, INDEX, NAMES
from schemas.predictions import FeatureRow
from schemas.ticks import Tick
from tests.support.api import api, error_of, prediction, write
from tests.support.polling import until
from tests.support.written_log import WrittenLog

MS = 1_000_000


@pytest.fixture
def log(embedded_broker) -> WrittenLog:
    return WrittenLog(embedded_broker)


@pytest.fixture
def client(tmp_path, valkey, embedded_broker):
    ensure_baseline(ModelStore(tmp_path / "models"), "volatility_spike")
    with (
        api(tmp_path, valkey.url, kafka_bootstrap_servers=embedded_broker.bootstrap) as address,
        httpx.Client(base_url=address, timeout=30) as made,
    ):
        yield made


def _row(offset: int, ratio: float, symbol: str = "BTC-USD") -> FeatureRow:
    values: list[float | None] = [None] * len(NAMES)
    values[INDEX[FEATURE]] = ratio
    return FeatureRow(
        symbol=symbol,
        venue="simulator",
        ts_event_ns=1_700_000_000_000 * MS + offset * 500 * MS,
        feature_set=FEATURE_SET,
        warm=True,
        values=values,
        partition=0,
        offset=offset,
    )


def test_a_score_is_explained_by_the_features_of_its_tick(client, database, log):
    log.write(topics.TICKS_FEATURES, *(_row(at, 0.5 + at / 100) for at in range(40)))
    log.write(topics.TICKS_FEATURES, _row(99, 9.0, symbol="ETH-USD"))
    write(database, prediction(offset=30))

    def found() -> dict:
        return client.get("/explain/BTC-USD").json()

    until(lambda: found().get("offset") == 30, "the row of the newest score")
    said = found()
    (only,) = said["inputs"]
    assert (said["method"], said["link"], said["is_latest"]) == ("linear", "logit", True)
    assert said["drift_rows"] == 20 + 1  # two ticks of each second of one symbol, one of another
    assert only["drift"] is None  # the built-in model has no training
    assert only["features"] == [FEATURE]
    assert only["value"] == pytest.approx(0.8)
    assert 1 / (1 + np.exp(-(said["base"] + only["amount"]))) == pytest.approx(said["score"], 1e-5)
    write(database, prediction(offset=31))
    until(lambda: found()["offset"] == 31, "the row of the next score")
    write(database, prediction(offset=50))
    until(lambda: found()["offset"] == 39, "the newest row that there is")
    assert found()["is_latest"] is False


def test_what_cannot_be_explained_says_why(client, database, log, tmp_path, valkey):
    error_of(client.get("/explain/BTC-USD"), 404)
    write(database, prediction())
    assert error_of(client.get("/explain/BTC-USD"), 404)["code"] == "no_features"
    said = error_of(client.get("/explain/BTC-USD?target=forward_return"), 503)
    assert said["code"] == "model_unavailable"
    with api(tmp_path, valkey.url) as address:  # without a broker
        for path in ("explain/BTC-USD", "dead-letters", "system"):
            assert error_of(httpx.get(f"{address}/{path}"), 503)["code"] == "kafka_unavailable"


def test_dead_letters_come_newest_first_and_are_counted_by_reason(client, log):
    assert client.get("/dead-letters").json()["letters"] == []
    for at in range(30):
        reason = Reason.NOT_JSON if at % 3 else Reason.BAD_PRICE
        payload = b"\xff" * 10 if at == 29 else b"x" * 1000
        log.write(
            topics.DEAD_LETTERS,
            DeadLetter(reason=reason, detail=f"letter {at}", payload=payload, topic="ticks.raw"),
        )
        time.sleep(0.002)  # Kafka's timestamps are whole milliseconds
    until(lambda: client.get("/dead-letters?limit=3").json()["counted"] == 30, "all letters")
    said = client.get("/dead-letters?limit=3").json()
    assert [each["detail"] for each in said["letters"]] == ["letter 29", "letter 28", "letter 27"]
    assert said["by_reason"] == {"not_json": 20, "bad_price": 10}
    assert (said["letters"][0]["size"], said["letters"][1]["size"]) == (10, 1000)
    assert len(said["letters"][1]["payload"]) < 1000
    error_of(client.get("/dead-letters?limit=0"), 422)


def test_the_system_tells_lag_rates_latencies_and_swaps(client, database, log):
    now_ns = time.time_ns()
    ticks = [
        Tick(
            symbol="BTC-USD",
            venue="simulator",
            ts_event_ns=now_ns + at,
            ts_recv_ns=now_ns + at + 20 * MS,
            price=100.0,
            gap=at == 3,
        )
        for at in range(20)
    ]
    log.write(topics.TICKS_RAW, *ticks)
    made = [
        prediction(offset=at, venue="simulator", ts_event_ns=now_ns, ts_scored_ns=now_ns + 90 * MS)
        for at in range(15)
    ]
    log.write(topics.PREDICTIONS, *made)
    write(database, made[-1])
    said: dict = {}

    def all_there() -> bool:
        nonlocal said
        said = client.get("/system").json()
        (only,) = said["partitions"]
        return only["ticks"] == 20 and only["lag"] == 5

    until(all_there, "the newest messages")
    assert (said["feed"], said["gaps"], said["looked_at"]) == ("SIMULATED", 1, 20)
    assert [(each["venue"], each["symbols"]) for each in said["venues"]] == [("simulator", 1)]
    latency = {each["stage"]: each for each in said["latency"]}
    assert latency["venue to receiver"]["p50_ms"] == pytest.approx(20, abs=0.01)
    assert latency["venue to score"]["p99_ms"] == pytest.approx(90, abs=0.01)
    assert latency["venue to score"]["count"] == 15
    assert [(move["before"], move["after"].split("@")[0]) for move in said["moves"]] == [
        (None, "zscore")
    ]
