"""The API against a real Redis: every route, every error in one shape."""

import httpx
import msgspec
import pytest

from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.dead_letters import DeadLetterRate
from schemas.features import FEATURES
from schemas.quality import ModelQuality, QualityPoint
from serving.scores.latest import LatestScores
from tests.support.api import DEAD_REDIS, api, error_of, prediction, write
from tests.support.embedded import EmbeddedBroker
from tests.support.models import publish_tiny
from tests.support.polling import until


def symbols(client: httpx.Client) -> list[str]:
    return [view["symbol"] for view in client.get("/scores").json()["scores"]]


def test_latest_score_comes_with_its_age(client, database):
    write(database, prediction(age_s=2.0, offset=7))
    body = client.get("/scores/BTC-USD").json()
    assert body["symbol"] == "BTC-USD"
    assert body["offset"] == 7
    assert 2000 <= body["age_ms"] < 12_000
    assert body["event_age_ms"] >= body["age_ms"]
    assert body["stale"] is False
    assert body["scores"]["volatility_spike"]["score"] == 0.25


def test_old_score_is_stale(client, database):
    write(database, prediction(age_s=31))
    assert client.get("/scores/BTC-USD").json()["stale"] is True


def test_score_of_the_future_is_named_and_stale(client, database):
    write(database, prediction(age_s=-60))
    view = client.get("/scores/BTC-USD").json()
    assert view["age_ms"] == 0
    assert 50_000 < view["clock_ahead_ms"] <= 60_000
    assert view["stale"] is True


def test_score_of_a_moment_ahead_is_not_stale(client, database):
    write(database, prediction(age_s=-10))
    view = client.get("/scores/BTC-USD").json()
    assert view["clock_ahead_ms"] > 0
    assert view["stale"] is False


def test_all_scores_come_by_name_and_say_simulated(client, database):
    assert client.get("/scores").json() == {"scores": [], "simulated": False}
    write(database, prediction("ETH-USD"))
    write(database, prediction("BTC-USD", venue="simulator"))
    until(lambda: symbols(client) == ["BTC-USD", "ETH-USD"], "both")
    assert client.get("/scores").json()["simulated"] is True


def test_what_a_simulator_left_behind_does_not_make_a_live_feed_simulated(client, database):
    write(database, prediction("SIM-USD", venue="simulator", age_s=60))
    write(database, prediction("BTC-USD", age_s=1))
    until(lambda: len(symbols(client)) == 2, "both")
    assert client.get("/scores").json()["simulated"] is False


FOREIGN = [
    b"{",
    b"",
    b"null",
    b"\xff\xfe",
    b'{"symbol": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 10_000,
    b'{"symbol": "BAD-USD"}',
]


@pytest.mark.parametrize("value", FOREIGN, ids=range(len(FOREIGN)))
def test_foreign_entry_is_passed_over_and_counted(client, database, value):
    write(database, prediction("ETH-USD"))
    database.sadd(topics.SYMBOLS_KEY, "BAD-USD", b"\xff\x00")
    database.hset(topics.latest_key("BAD-USD"), "message", value)
    database.xadd(topics.history_key("ETH-USD"), {"message": value})
    database.xadd(topics.history_key("ETH-USD"), {"other": value})
    database.xadd(topics.quality_key("volatility_spike"), {"message": value})
    until(lambda: symbols(client) == ["ETH-USD"], "what is a score")
    error_of(client.get("/scores/BAD-USD"), 404)
    assert len(client.get("/scores/ETH-USD/history").json()["points"]) == 1
    assert client.get("/quality").json()["points"] == []
    metrics = client.get("/metrics").text
    for place, count in (("history", 2), ("quality", 1)):
        assert f'voltick_api_foreign_entries_total{{place="{place}"}} {count}.0' in metrics


def test_key_of_another_type_is_passed_over(client, database):
    write(database, prediction("ETH-USD"))
    database.sadd(topics.SYMBOLS_KEY, "BAD-USD")
    for key in (
        topics.latest_key("BAD-USD"),
        topics.history_key("BAD-USD"),
        topics.quality_key("volatility_spike"),
    ):
        database.set(key, "text")
    until(lambda: symbols(client) == ["ETH-USD"], "what is a score")
    error_of(client.get("/scores/BAD-USD"), 404)
    error_of(client.get("/scores/BAD-USD/history"), 404)
    assert client.get("/quality").json()["points"] == []
    database.delete(topics.SYMBOLS_KEY)
    database.set(topics.SYMBOLS_KEY, "text")
    until(lambda: symbols(client) == [], "the symbols to be passed over")


def test_every_score_that_is_published_is_shown_and_none_before_one_shown(client, database):
    shown = -1
    for offset in range(200):
        write(database, prediction(offset=offset))
        found = client.get("/scores/BTC-USD").json()["offset"]
        assert shown <= found <= offset
        shown = found
    until(lambda: client.get("/scores/BTC-USD").json()["offset"] == 199, "the last one")


def test_memory_answers_as_the_route_does(client, database, monkeypatch):
    write(database, prediction("BTC/USD", ts_scored_ns=1))
    until(lambda: symbols(client), "the score")
    fast = client.get("/scores/BTC/USD")
    monkeypatch.setattr(LatestScores, "held", lambda *_: None)
    routed = client.get("/scores/BTC/USD")
    ages = {"age_ms": 0, "event_age_ms": 0}
    assert fast.json() | ages == routed.json() | ages
    assert list(fast.json()) == list(routed.json())
    volatile = {"date": "", "content-length": ""}
    assert dict(fast.headers) | volatile == dict(routed.headers) | volatile
    assert 'route="/scores/{symbol}",status="200"} 2.0' in client.get("/metrics").text


def test_what_leaves_redis_is_not_shown_for_long(client, database):
    for symbol in ("A", "B", "C"):
        write(database, prediction(symbol))
    until(lambda: symbols(client) == ["A", "B", "C"], "all")
    database.delete(topics.latest_key("A"))
    until(lambda: symbols(client) == ["B", "C"], "the one that was removed to leave")
    error_of(client.get("/scores/A"), 404)
    database.pexpire(topics.latest_key("B"), 50)
    until(lambda: symbols(client) == ["C"], "the one that ended to leave")
    database.flushall()
    until(lambda: symbols(client) == [], "a Redis that was emptied to be noticed")
    error_of(client.get("/scores/C"), 404)


def test_a_cut_stream_is_made_up_for_by_redis(client, database):
    write(database, prediction(offset=1))
    until(lambda: symbols(client), "the score")
    database.client_kill_filter(_type="pubsub")
    database.hset(
        topics.latest_key("BTC-USD"), "message", msgspec.json.encode(prediction(offset=2))
    )
    until(lambda: client.get("/scores/BTC-USD").json()["offset"] == 2, "what no message told of")


@pytest.mark.parametrize("path", ["/scores/NO-USD", "/scores/NO-USD/history", "/scores/%00%F0"])
def test_unknown_symbol_is_404(client, path):
    assert error_of(client.get(path), 404)["code"] == "unknown_symbol"


def test_history_is_oldest_first_and_limited(client, database):
    for offset in range(10):
        write(database, prediction(offset=offset))
    body = client.get("/scores/BTC-USD/history?limit=3").json()
    assert [point["offset"] for point in body["points"]] == [7, 8, 9]


def test_history_goes_on_with_the_thinner_past(client, database):
    write(database, prediction(offset=50))
    [(newest, fields)] = database.xrange(topics.history_key("BTC-USD"))
    past = topics.past_key("BTC-USD")
    for offset in range(10, 40, 10):
        made = prediction(offset=offset)
        database.xadd(past, {"message": msgspec.json.encode(made)}, id=f"{offset}-0")
    database.xadd(past, fields, id=newest)
    for limit, offsets in ((100, [10, 20, 30, 50]), (3, [20, 30, 50]), (1, [50])):
        points = client.get(f"/scores/BTC-USD/history?limit={limit}").json()["points"]
        assert [point["offset"] for point in points] == offsets


@pytest.mark.parametrize("limit", ["0", "-1", "x", "100000000000000000000", "1.5"])
@pytest.mark.parametrize("path", ["/scores/BTC-USD/history", "/quality"])
def test_unusable_limit_is_named(client, path, limit):
    error = error_of(client.get(path, params={"limit": limit}), 422)
    assert "limit" in error["message"]


def test_quality_history(client, database):
    def point(ts_ns: int) -> QualityPoint:
        model = ModelQuality(model="tiny@v", role="champion", count=5, pr_auc=0.5)
        return QualityPoint(
            target="volatility_spike",
            kind="classification",
            ts_ns=ts_ns,
            from_ns=0,
            models=[model],
        )

    empty = {"target": "volatility_spike", "points": [], "drift": None}
    assert client.get("/quality").json() == empty
    for ts_ns in (1, 2, 3):
        key = topics.quality_key("volatility_spike")
        database.xadd(key, {"message": msgspec.json.encode(point(ts_ns))})
    body = client.get("/quality?target=volatility_spike&limit=2").json()
    assert [entry["ts_ns"] for entry in body["points"]] == [2, 3]
    assert body["points"][0]["models"][0]["pr_auc"] == 0.5
    assert client.get("/quality?target=forward_return").json()["points"] == []
    assert error_of(client.get("/quality?target=nope"), 404)["code"] == "unknown_target"


def test_features_are_the_contract(client):
    body = client.get("/features").json()
    assert [view["name"] for view in body["features"]] == [feature.name for feature in FEATURES]


def test_paths_and_methods_that_are_not_there(client):
    error_of(client.get("/nowhere"), 404)
    error_of(client.get("/static/nowhere.js"), 404)
    response = client.delete("/scores")
    error_of(response, 405)
    assert response.headers["allow"]


def test_unexpected_error_is_500_without_its_cause(client, store, monkeypatch):
    def broken(_self):
        message = "redis://:password@host"
        raise RuntimeError(message)

    monkeypatch.setattr(ModelStore, "manifests", broken)
    error = error_of(client.get("/models"), 500)
    assert "password" not in str(error)


def test_metrics_name_route_templates(client, database):
    write(database, prediction(age_s=5))
    client.get("/scores/BTC-USD")
    client.get("/made/up/path")
    text = client.get("/metrics").text
    assert 'route="/scores/{symbol}",status="200"' in text
    assert "/made/up" not in text
    assert 'voltick_score_age_seconds{symbol="BTC-USD"}' in text
    assert "voltick_api_redis_up 1.0" in text


def test_label_of_a_symbol_ends_with_the_symbol(client, database):
    for symbol in ("OLD-USD", "BTC-USD"):
        write(database, prediction(symbol))
    until(lambda: len(symbols(client)) == 2, "both")
    assert 'symbol="OLD-USD"' in client.get("/metrics").text
    database.delete(topics.latest_key("OLD-USD"))
    until(lambda: len(symbols(client)) == 1, "the one to be noticed that left")
    text = client.get("/metrics").text
    assert 'symbol="OLD-USD"' not in text
    assert 'symbol="BTC-USD"' in text


def test_every_answer_carries_security_headers(client):
    for path in ("/", "/scores", "/nowhere", "/docs", "/static/app.js"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_and_documentation_ask_nobody_else(client):
    page = client.get("/").text
    assert "Voltick" in page
    for path in ("/", "/docs", "/static/app.js", "/static/page.css", "/static/docs.js"):
        text = client.get(path).text
        assert "http://" not in text
        assert "https://" not in text
    for path in ("/docs-static/swagger-ui-bundle.js", "/docs-static/swagger-ui.css"):
        assert client.get(path).status_code == 200


def test_openapi_describes_every_route_with_examples(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) >= {"/health", "/scores/{symbol}", "/predict", "/stream"}
    score = document["paths"]["/scores/{symbol}"]["get"]["responses"]["200"]
    assert score["content"]["application/json"]["example"]["symbol"] == "BTC-USD"
    assert "ScoreView" in document["components"]["schemas"]
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert set(example["example"]["rows"][0]) == {feature.name for feature in FEATURES}


def test_health_tells_what_is_missing(tmp_path, valkey, store, database):
    with (
        EmbeddedBroker(tmp_path / "broker") as broker,
        api(
            tmp_path,
            valkey.url,
            kafka_bootstrap_servers=broker.client_config()["bootstrap.servers"],
        ) as address,
        httpx.Client(base_url=address, timeout=10) as client,
    ):

        def health(*failing: str) -> httpx.Response:
            """Return the first answer by which these fail; Kafka's part is seconds old at times."""

            def found() -> httpx.Response | None:
                response = client.get("/health")
                body = response.json()
                assert (body["status"] == "ok") == (not body["failing"])
                return response if body["failing"] == list(failing) else None

            return until(found, f"{failing} to be what fails", 60.0, 0.2)

        health("model", "ticks")
        ref = publish_tiny(store, 0.2)
        store.move("volatility_spike", champion=ref, by="test")
        write(database, prediction())
        response = health()
        assert response.status_code == 200, response.text
        assert response.json()["simulated"] is False

        write(database, prediction(age_s=31))
        assert error_of(health("ticks"), 503)["code"] == "unhealthy"
        write(database, prediction(venue="simulator"))
        until(lambda: client.get("/health").json()["feed"] == "SIMULATED", "the simulator")

        broker.kill()
        health("kafka")


def test_redis_that_is_gone_is_503_everywhere(tmp_path):
    with (
        api(tmp_path, DEAD_REDIS) as address,
        httpx.Client(base_url=address, timeout=10) as client,
    ):
        for path in ("/scores", "/scores/A", "/scores/A/history", "/quality", "/stream"):
            assert error_of(client.get(path), 503)["code"] == "redis_unavailable"
        assert "redis" in client.get("/health").json()["failing"]
        assert client.get("/version").json()["simulated"] is None
        assert "voltick_api_redis_up 0.0" in client.get("/metrics").text


def test_redis_that_stalls_is_503_and_comes_back(client, valkey, database):
    write(database, prediction())
    assert client.get("/scores/BTC-USD").status_code == 200
    valkey.pause()
    try:

        def failed() -> httpx.Response | None:
            response = client.get("/scores/BTC-USD")
            return None if response.status_code == 200 else response

        # What was heard of last may be shown for two more seconds.
        assert error_of(until(failed, "the silence to be noticed"), 503)["code"] == (
            "redis_unavailable"
        )
    finally:
        valkey.resume()
    until(lambda: client.get("/scores/BTC-USD").status_code == 200, "scores to come back")


def test_redis_that_restarts_is_used_again(client, valkey, database):
    write(database, prediction())
    assert client.get("/scores/BTC-USD").status_code == 200
    valkey.kill()
    until(lambda: client.get("/scores/BTC-USD").status_code == 503, "the end to be noticed")
    valkey.start()
    until(lambda: client.get("/scores").status_code == 200, "Redis to be used again")
    error_of(client.get("/scores/BTC-USD"), 404)


def test_health_names_a_rate_of_dead_letters(client, database):
    rate = DeadLetterRate(seconds=61.0, counts={"crossed_book": 12})
    database.set(topics.DEAD_LETTER_RATE_KEY, msgspec.json.encode(rate))
    warnings = client.get("/health").json()["warnings"]
    assert any("12 crossed_book" in warning for warning in warnings)
    database.set(topics.DEAD_LETTER_RATE_KEY, b"\xff")
    assert client.get("/health").status_code in (200, 503)
    database.delete(topics.DEAD_LETTER_RATE_KEY)
    assert not any("dead letters" in each for each in client.get("/health").json()["warnings"])
