"""What charts are drawn from: the topics of a real broker, or Redis where there is none."""

import time

import httpx
import pytest

from flows.connectors.redis.backfill import put_backfill
from schemas import topics
from schemas.backfill import Backfill, BackfillBar
from schemas.predictions import Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Tick
from tests.support.api import api, error_of, prediction, write
from tests.support.polling import until
from tests.support.written_log import WrittenLog

SPIKE = "volatility_spike"
NS = 1_000_000_000
NOW_S = 1_700_000_000
SYMBOL = "BTC-USD"


def _tick(at_s: float, price: float, symbol: str = SYMBOL) -> Tick:
    return Tick(
        symbol=symbol,
        venue="simulator",
        ts_event_ns=int((NOW_S + at_s) * NS),
        price=price,
        size=0.5,
        bid=price - 1,
        ask=price + 1,
    )


def _prediction(at_s: float, offset: int, score: float, price: float) -> Prediction:
    own = TargetScore(score=score, decision=score >= 0.5, model="m", version="v", variant="t")
    return prediction(
        SYMBOL,
        offset=offset,
        ts_event_ns=int((NOW_S + at_s) * NS),
        price=price,
        mid=price,
        scores={SPIKE: own},
    )


def _outcome(at_s: float, offset: int, score: float, truth: float) -> Outcome:
    judged = OutcomeScore(
        score=score, model="m", version="v", variant="t", truth=truth, value=truth
    )
    return Outcome(
        symbol=SYMBOL,
        venue="simulator",
        ts_event_ns=int((NOW_S + at_s) * NS),
        ts_known_ns=int((NOW_S + at_s + 60) * NS),
        scores={SPIKE: judged},
        feature_set=1,
        partition=0,
        offset=offset,
        known_offset=offset,
    )


@pytest.fixture
def log(embedded_broker) -> WrittenLog:
    return WrittenLog(embedded_broker)


def _whole(client: httpx.Client, trades: int, **parameters) -> dict:
    """Ask until all is read."""
    answer: dict = {}

    def complete() -> bool:
        nonlocal answer
        response = client.get(f"/series/{SYMBOL}", params=parameters)
        assert response.status_code == 200, response.text
        answer = response.json()
        known = answer["columns"]
        return (
            answer["complete"] and sum(known["trades"]) == trades and known["score"][-1] is not None
        )

    until(complete, "the log to be read")
    return answer


def test_series_is_what_the_topics_say_and_goes_on(
    tmp_path, valkey, database, embedded_broker, log
):
    prices = [100.0 + at % 7 for at in range(3000)]
    scores = [0.9 if 1000 <= at < 1010 else 0.1 for at in range(3000)]
    log.write(topics.TICKS_RAW, *(_tick(at / 5, price) for at, price in enumerate(prices)))
    log.write(topics.TICKS_RAW, _tick(1, 5.0, symbol="ETH-USD"))
    made = [
        _prediction(at / 5, at, score, price)
        for at, (score, price) in enumerate(zip(scores, prices, strict=True))
    ]
    log.write(topics.PREDICTIONS, *made)
    log.write(
        topics.OUTCOMES,
        *(_outcome(at / 5, at, scores[at], float(at in (1003, 2000))) for at in range(2700)),
    )
    write(database, made[-1])
    with (
        api(tmp_path, valkey.url, kafka_bootstrap_servers=embedded_broker.bootstrap) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        answer = _whole(client, 3000, seconds=7200, step_s=10)
        columns = answer["columns"]
        assert answer["source"] == "kafka"
        assert columns["ts_s"] == list(range(NOW_S, NOW_S + 600, 10))
        assert columns["trades"] == [50] * 60
        assert columns["volume"] == [25.0] * 60
        assert columns["open"] == prices[::50]
        assert columns["close"] == prices[49::50]
        assert columns["bid"] == [price - 1 for price in prices[49::50]]
        assert columns["score"] == [max(scores[at : at + 50]) for at in range(0, 3000, 50)]
        assert columns["truth"] == [
            float(at in (1000, 2000)) if at < 2700 else None for at in range(0, 3000, 50)
        ]
        assert [(mark["ts_s"] - NOW_S, mark["kind"]) for mark in answer["marks"]] == [
            (200, "hit"),
            (400, "miss"),
        ]
        assert answer["swaps"] == [{"ts_s": NOW_S, "model": "m@v", "before": None}]

        later = _prediction(600, 3000, 0.8, 150.0)
        log.write(topics.TICKS_RAW, _tick(600, 150.0))
        log.write(topics.PREDICTIONS, later)
        write(database, later)
        grown: dict = {}

        def came() -> bool:
            nonlocal grown
            asked = {"seconds": 7200, "step_s": 10, "after": answer["revision"]}
            grown = client.get(f"/series/{SYMBOL}", params=asked).json()
            return grown["columns"]["trades"] == [1] and grown["columns"]["score"] == [0.8]

        until(came, "what came since")
        assert grown["columns"]["ts_s"] == [NOW_S + 600]
        assert grown["marks"][-1]["kind"] == "pending"


def test_without_a_broker_the_history_of_redis_is_shown(tmp_path, valkey, database):
    for at in range(100):
        write(database, _prediction(at, at, at / 1000, 100.0 + at))
    with api(tmp_path, valkey.url) as address, httpx.Client(base_url=address) as client:
        answer = client.get(f"/series/{SYMBOL}", params={"seconds": 50, "step_s": 1}).json()
        assert (answer["source"], answer["complete"]) == ("redis", True)
        assert answer["columns"]["close"] == [100.0 + at for at in range(50, 100)]
        assert answer["columns"]["score"] == [at / 1000 for at in range(50, 100)]
        assert answer["columns"]["bid"] == [None] * 50
        error_of(client.get("/series/NO-SUCH"), 404)
        error_of(client.get(f"/series/{SYMBOL}", params={"target": "no"}), 404)
        error_of(client.get(f"/series/{SYMBOL}", params={"step_s": 0}), 422)


def test_a_broker_that_is_gone_costs_seconds_and_no_answer(tmp_path, valkey, database):
    write(database, _prediction(0, 0, 0.1, 100.0))
    with (
        api(tmp_path, valkey.url, kafka_bootstrap_servers="127.0.0.1:1") as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        begin_s = time.monotonic()
        assert client.get(f"/series/{SYMBOL}").json()["source"] == "redis"
        assert time.monotonic() - begin_s < 20


def test_a_venues_bars_of_the_hour_before_are_told_apart_from_what_was_scored(
    tmp_path, valkey, database
):
    minutes = [NOW_S // 60 * 60 - 60 * number for number in (2, 1)]
    made = [
        BackfillBar(ts_open_ns=at * NS, open=2.0, high=3.0, low=1.0, close=2.5, volume=None)
        for at in minutes
    ]
    known = Backfill(symbol=SYMBOL, venue="coinbase-exchange", interval_s=60, bars=made)
    put_backfill(database, known)
    with (
        api(tmp_path, valkey.url) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        answer = client.get(f"/backfill/{SYMBOL}").json()
        assert (answer["source"], answer["venue"]) == ("backfill", "coinbase-exchange")
        assert (answer["ts_s"], answer["interval_s"]) == (minutes, 60)
        assert (answer["high"], answer["volume"]) == ([3.0, 3.0], [None, None])
        nothing = client.get("/backfill/ETH-USD").json()
        assert (nothing["venue"], nothing["ts_s"]) == (None, [])
        database.set(topics.backfill_key(SYMBOL), b"no json")
        assert client.get(f"/backfill/{SYMBOL}").json()["ts_s"] == []
        assert client.get(f"/series/{SYMBOL}").status_code == 404
