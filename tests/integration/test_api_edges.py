"""The API as monitors, proxies and foreign clients use it."""

import socket

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.scoring.registry import ModelStore
from tests.support.api import TOKEN, api, error_of, open_stream, prediction, read_events, write
from tests.support.models import publish_tiny
from tests.support.polling import until

SYMBOLS = [
    "BTC/USDT",
    "A B",
    "ビット-コイン",
    "..",
    ".",
    "BTC.",
    "50%25",
    "a?b#c",
    "X/history",
    "é/ü",
    "N" * 64,
]


@pytest.mark.parametrize("symbol", SYMBOLS, ids=range(len(SYMBOLS)))
def test_a_symbol_with_odd_characters_is_found(client, database, symbol):
    write(database, prediction(symbol, offset=3))
    escaped = "".join(f"%{byte:02X}" for byte in symbol.encode())
    assert client.get(f"/scores/{escaped}").json()["symbol"] == symbol
    points = client.get(f"/scores/{escaped}/history").json()["points"]
    assert [point["offset"] for point in points] == [3]


def test_a_slash_that_a_proxy_unescaped_is_found(client, database):
    write(database, prediction("BTC/USDT"))
    assert client.get("/scores/BTC/USDT").json()["symbol"] == "BTC/USDT"
    assert client.get("/scores/BTC/USDT/history").json()["symbol"] == "BTC/USDT"
    assert client.get("/scores/BTC%2FUSDT/").json()["symbol"] == "BTC/USDT"


@pytest.mark.parametrize("path", ["/scores/", "/health/", "/version/", "/metrics/", "/models/"])
def test_a_slash_at_the_end_makes_no_difference(client, path):
    assert client.get(path).status_code == client.get(path.rstrip("/")).status_code


def test_a_symbol_that_is_too_long_is_422(client):
    assert "symbol" in error_of(client.get("/scores/" + "N" * 5000), 422)["message"]


PATHS = [
    "/",
    "/docs",
    "/openapi.json",
    "/static/app.js",
    "/health",
    "/version",
    "/metrics",
    "/scores",
    "/scores/BTC-USD",
    "/scores/BTC-USD/history",
    "/quality",
    "/models",
    "/features",
    "/nowhere",
]


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_as_get_without_a_body(client, database, path):
    write(database, prediction())
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-security-policy"]


def test_head_of_a_stream_ends(client):
    head = client.head("/stream")
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert 'method="HEAD",route="/stream",status="200"' in client.get("/metrics").text


def test_methods_that_are_possible_include_head(client):
    response = client.delete("/scores")
    error_of(response, 405)
    assert "HEAD" in response.headers["allow"]
    assert "HEAD" not in client.delete("/predict").headers["allow"]


@pytest.mark.parametrize("takes_prefix_away", [True, False])
def test_everything_works_below_a_root_path(tmp_path, valkey, database, takes_prefix_away):
    write(database, prediction())
    prefix = "" if takes_prefix_away else "/voltick"
    with (
        api(tmp_path, valkey.url, api_root_path="/voltick") as address,
        httpx.Client(base_url=address + prefix, timeout=10) as client,
    ):
        for path in ("/", "/docs", "/scores", "/scores/BTC-USD", "/static/app.js", "/metrics"):
            assert client.get(path).status_code == 200, path
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/voltick"}]
        with open_stream(address, f"{prefix}/stream") as stream:
            until(lambda: "voltick_stream_clients 1.0" in client.get("/metrics").text, "the stream")
            write(database, prediction(offset=9))
            assert '"offset":9' in read_events(stream, 1)[0]
        if not takes_prefix_away:
            response = httpx.get(f"{address}/voltick")
            assert (response.status_code, response.headers["location"]) == (308, "/voltick/")


def test_pages_refer_to_their_files_by_relative_addresses(client):
    for page in ("/", "/docs"):
        assert 'src="/' not in client.get(page).text
        assert 'href="/' not in client.get(page).text
    response = client.get("/docs/")
    assert (response.status_code, response.headers["location"]) == (308, "../docs")


def test_a_proxy_is_believed_only_where_it_is_trusted(tmp_path, valkey):
    headers = {"X-Forwarded-Prefix": "/voltick", "X-Forwarded-For": "203.0.113.9"}
    for trusted, servers in (((), None), (("127.0.0.0/8",), [{"url": "/voltick"}])):
        with api(tmp_path, valkey.url, trusted_proxies=trusted) as address:
            document = httpx.get(f"{address}/openapi.json", headers=headers).json()
            assert document.get("servers") == servers


def test_who_moved_an_alias_cannot_be_forged(tmp_path, valkey):
    store = ModelStore(tmp_path / "models")
    ref = publish_tiny(store, 0.2)
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
    with api(tmp_path, valkey.url, api_token=TOKEN) as address:
        path = f"{address}/models/volatility_spike/champion"
        assert httpx.post(path, json={"model": ref}, headers=headers).status_code == 200
    assert [move.by for move in store.moves()] == ["api from 127.0.0.1"]


BODIES = [
    b"",
    b"{",
    b"\xff\xfe",
    b'{"model": "\xff"}',
    b"[" * 100_000,
    b'{"model": ' * 50_000,
    b'{"rows": [{"spread": ' + b"9" * 5000 + b"}]}",
    b'{"rows": [{"spread": 1e999}]}',
    b"NaN",
    b'{"rows": NaN}',
    b'{"model": "\\ud800"}',
    b'{"models": ["\\ud800"]}',
    b"null",
    b"1" * 400,
    b'{"rows": [{"\\ud800": 1}]}',
    b'{"\x00": 1}',
    b"a=1&b=2",
]
ROUTES = ["/predict", "/models/volatility_spike/champion", "/models/volatility_spike/shadow"]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ROUTES)
def test_a_foreign_body_is_the_callers_error(client, path, body):
    for content_type in (
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "\xff",
    ):
        headers = [
            (b"authorization", f"Bearer {TOKEN}".encode()),
            (b"content-type", content_type.encode("latin-1")),
        ]
        answer = client.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, answer.text
        error_of(answer, answer.status_code)


@pytest.mark.parametrize("path", ROUTES)
def test_a_compressed_body_is_415(client, path):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    error_of(client.post(path, content=b"x", headers=headers), 415)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with api(tmp_path_factory.mktemp("api"), "redis://127.0.0.1:1/0", api_token=TOKEN) as address:
        yield address


@settings(max_examples=60)
@given(path=st.sampled_from(ROUTES), body=st.binary(max_size=200))
def test_any_bytes_are_the_callers_error(shared, path, body):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    status = httpx.post(shared + path, content=body, headers=headers).status_code
    assert 400 <= status < 500


@settings(max_examples=60)
@given(target=st.binary(max_size=60))
def test_any_target_by_bytes_is_the_callers_error(shared, target):
    query = "".join(f"%{byte:02X}" for byte in target)
    for path in ("/quality?target=", "/predict?target="):
        status = httpx.request(
            "POST" if "predict" in path else "GET", shared + path + query
        ).status_code
        assert 400 <= status < 500


@pytest.mark.parametrize(
    "line",
    [
        b"GET /scores/%ff%fe HTTP/1.1",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        b"GET /static/..%2f..%2f__main__.py HTTP/1.1",
        b"GET * HTTP/1.1",
    ],
    ids=range(4),
)
def test_a_raw_request_line_is_the_callers_error(server, line):
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).split(b" ")[1] in (b"400", b"404")
