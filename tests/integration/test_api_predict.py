"""Scores on request: every unusable input is named, none becomes a zero."""

import contextlib
import socket

import httpx
import msgspec
import pytest

from schemas.features import FEATURES
from serving.app import MAX_PREDICTING
from tests.support.api import error_of
from tests.support.models import RETURN, publish_tiny
from tests.support.polling import until


def row(**changes) -> dict:
    values = {
        feature.name: None if feature.undefined else max(feature.low, min(feature.high, 1.0))
        for feature in FEATURES
    }
    return {**values, **changes}


def test_predict_scores_each_row_by_the_champion(client, store):
    ref = publish_tiny(store, 0.25, weight=1.0, threshold=0.5)
    store.move("volatility_spike", champion=ref, by="test")
    response = client.post(
        "/predict", json={"rows": [row(), row(vol_ratio_60_3600=2.0), row(vol_ratio_60_3600=0)]}
    )
    body = response.json()
    assert response.status_code == 200, body
    assert body["scores"] == pytest.approx([0.25, 0.711235, 0.25], abs=1e-5)
    assert body["decisions"] == [False, True, False]
    assert f"{body['model']}@{body['version']}" == ref
    assert body["model_variant"] == "tiny"
    assert body["ts"].endswith("Z")


def test_forecast_has_no_decisions(client, store):
    ref = publish_tiny(store, 0.001, target=RETURN)
    store.move("forward_return", champion=ref, by="test")
    body = client.post("/predict?target=forward_return", json={"rows": [row()]}).json()
    assert body["scores"] == pytest.approx([0.001])
    assert body["decisions"] is None


def without(name: str) -> dict:
    values = row()
    del values[name]
    return values


NEVER_UNDEFINED = next(feature.name for feature in FEATURES if not feature.undefined)


@pytest.mark.parametrize(
    ("values", "feature", "problem"),
    [
        (without("spread"), "spread", "missing"),
        (row(colour=1.0), "colour", "unknown"),
        (row(**{NEVER_UNDEFINED: None}), NEVER_UNDEFINED, "null"),
        (row(spread="1"), "spread", "not a number"),
        (row(spread=True), "spread", "not a number"),
        (row(spread=[1]), "spread", "not a number"),
        (row(spread=-1), "spread", "outside"),
        (row(imbalance=1.5), "imbalance", "outside"),
        (row(log_return_1=1e300), "log_return_1", "not finite"),
        (row(log_return_1=10**400), "log_return_1", "not finite"),
    ],
)
def test_unusable_feature_is_named(client, values, feature, problem):
    error = error_of(client.post("/predict", json={"rows": [row(), values]}), 422)
    assert "row 1" in error["message"]
    assert feature in error["message"]
    assert problem in error["message"]
    assert error["detail"][0]["feature"] == feature


@pytest.mark.parametrize("literal", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_value_that_json_does_not_know_is_named(client, literal):
    body = msgspec.json.encode({"rows": [row(spread=12345.5)]}).decode()
    error = error_of(client.post("/predict", content=body.replace("12345.5", literal)), 422)
    assert "spread" in error["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[" * 100_000, 400),
        ("\xff", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"rows": []}', 422),
        ('{"rows": {}}', 422),
        ('{"rows": [1]}', 422),
        ('{"rows": [{}], "x": 1}', 422),
        ('{"rows": [{"spread": 1, "spread": 2}]}', 422),
        ('{"rows": [' + ",".join(["{}"] * 10_001) + "]}", 422),
    ],
)
def test_unusable_body_is_refused(client, body, status):
    error_of(client.post("/predict", content=body.encode("latin-1")), status)


def test_too_large_body_is_refused(client):
    error_of(client.post("/predict", content=b" " * (17 << 20)), 413)


def test_predict_without_a_champion_is_503(client):
    error = error_of(client.post("/predict", json={"rows": [row()]}), 503)
    assert error["code"] == "model_unavailable"
    assert error_of(client.post("/predict?target=x", json={"rows": [row()]}), 404)


def test_tampered_champion_is_refused_by_name(client, store):
    ref = publish_tiny(store, 0.25)
    store.move("volatility_spike", champion=ref, by="test")
    (store.folder(ref) / "model.onnx").write_bytes(b"tampered")
    error = error_of(client.post("/predict", json={"rows": [row()]}), 503)
    assert ref in error["message"]
    assert error_of(client.get(f"/models/{ref}"), 409)["code"] == "model_rejected"


def test_half_a_surrogate_pair_is_refused_like_any_unknown_name(client):
    response = client.post("/predict", content=rb'{"rows":[{"\ud800":1}]}')
    error = error_of(response, 422)
    assert error["code"] == "invalid_features"
    assert "ud800" in error["message"]


def test_more_predictions_than_places_are_turned_away_and_the_rest_is_answered(server, store):
    ref = publish_tiny(store, 0.25)
    store.move("volatility_spike", champion=ref, by="test")
    host, port = server.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_PREDICTING):
            waiting = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            waiting.sendall(head)  # and no body

        def turned_away() -> bool:
            answer = httpx.post(f"{server}/predict", json={"rows": [row()]}, timeout=10)
            return answer.status_code == 503 and answer.json()["error"]["code"] == "busy"

        until(turned_away, "all places to be taken")
        assert httpx.get(f"{server}/features", timeout=10).status_code == 200

    def answered() -> bool:
        answer = httpx.post(f"{server}/predict", json={"rows": [row()]}, timeout=10)
        return answer.status_code == 200

    until(answered, "the places to be free again")


def test_a_body_that_does_not_come_is_408(server, monkeypatch):
    monkeypatch.setattr("serving.http.requests.BODY_LIMIT_S", 0.2)
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
