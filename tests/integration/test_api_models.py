"""Models and their aliases, by the API."""

import httpx
import pytest

from tests.support.api import TOKEN, api, error_of, prediction, write
from tests.support.models import publish_tiny
from tests.support.polling import until


def test_models_and_version(client, store, database):
    first = publish_tiny(store, 0.2, provenance="simulated")
    second = publish_tiny(store, 0.3, name="other", created_ns=1_790_000_100_000_000_000)
    store.move("volatility_spike", champion=second, by="test")
    store.set_challengers("volatility_spike", [first], by="test")
    body = client.get("/models").json()
    assert [(model["ref"], model["role"]) for model in body["models"]] == [
        (second, "champion"),
        (first, "challenger"),
    ]
    assert body["aliases"]["volatility_spike"]["champion"] == second
    assert body["serving"] == {"volatility_spike": second}
    assert body["problems"] == []
    assert client.get(f"/models/{first}").json()["manifest"]["provenance"] == "simulated"
    for unknown in ("nobody@1", "..%2F..%2Fetc", "tiny"):
        error_of(client.get(f"/models/{unknown}"), 404)

    version = client.get("/version").json()
    assert version["simulated"] is None
    assert version["targets"]["volatility_spike"]["model"] == second
    assert version["targets"]["volatility_spike"]["challengers"] == [first]
    assert version["targets"]["forward_return"] is None
    write(database, prediction(venue="simulator"))
    assert client.get("/version").json()["feed"] == "SIMULATED"


def auth(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_aliases_move_by_the_token(client, store):
    first = publish_tiny(store, 0.2)
    second = publish_tiny(store, 0.3, name="other")
    path = "/models/volatility_spike"
    moved = client.post(f"{path}/champion", json={"model": first}, headers=auth())
    assert moved.json()["aliases"]["champion"] == first
    client.post(f"{path}/champion", json={"model": second}, headers=auth())
    assert store.aliases("volatility_spike").champion == second
    moved = client.post(f"{path}/shadow", json={"models": [first]}, headers=auth())
    assert moved.json()["aliases"]["challengers"] == [first]
    moved = client.post(f"{path}/rollback", headers=auth())
    assert moved.json()["aliases"]["champion"] == first
    assert "api from 127.0.0.1" in {move.by for move in store.moves()}
    assert error_of(client.post(f"{path}/rollback", headers=auth()), 409)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        auth("wrong"),
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        auth("ü"),
    ],
)
def test_wrong_token_is_401_and_changes_nothing(client, store, headers):
    ref = publish_tiny(store, 0.2)
    headers = {name: value.encode() for name, value in headers.items()}
    response = client.post(
        "/models/volatility_spike/champion", json={"model": ref}, headers=headers
    )
    error_of(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert store.aliases("volatility_spike").champion is None


def test_without_a_configured_token_changes_are_403(tmp_path, valkey):
    with api(tmp_path, valkey.url) as address:
        response = httpx.post(f"{address}/models/volatility_spike/rollback", headers=auth())
        assert "VOLTICK_API_TOKEN" in error_of(response, 403)["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/nope/champion", {"model": "a@b"}, 404),
        ("/models/volatility_spike/champion", {"model": "a@b"}, 404),
        ("/models/volatility_spike/champion", {"model": 1}, 422),
        ("/models/volatility_spike/champion", {}, 422),
        ("/models/volatility_spike/shadow", {"models": "x"}, 422),
        ("/models/volatility_spike/shadow", {"models": ["a@b"]}, 404),
    ],
)
def test_unusable_move_is_refused(client, path, body, status):
    error_of(client.post(path, json=body, headers=auth()), status)


def test_models_say_what_serves_while_a_champion_cannot_be_loaded(client, store):
    old, new = publish_tiny(store, 0.2), publish_tiny(store, 0.8, name="new")
    store.move("volatility_spike", champion=old, by="test")
    assert client.get("/models").json()["serving"] == {"volatility_spike": old}
    store.move("volatility_spike", champion=new, by="test")
    graph = store.folder(new) / "model.onnx"
    graph.rename(graph.with_suffix(".away"))
    body = client.get("/models").json()
    assert body["aliases"]["volatility_spike"]["champion"] == new
    assert body["serving"] == {"volatility_spike": old}
    assert new in body["problems"][0]
    assert client.get("/version").json()["targets"]["volatility_spike"]["model"] == old
    graph.with_suffix(".away").rename(graph)
    until(
        lambda: client.get("/models").json()["serving"] == {"volatility_spike": new},
        "the model to be loaded after all",
    )
    assert client.get("/models").json()["problems"] == []


def test_simulated_model_never_becomes_champion_of_a_live_feed(client, store, database):
    ref = publish_tiny(store, 0.2, provenance="simulated")
    path = "/models/volatility_spike/champion"
    write(database, prediction())
    assert error_of(client.post(path, json={"model": ref}, headers=auth()), 409)
    write(database, prediction(venue="simulator"))
    assert client.post(path, json={"model": ref}, headers=auth()).status_code == 200
