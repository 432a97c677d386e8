"""Redirects of a WebSocket handshake: followed where that is safe, and said otherwise."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
import websocket

from flows.feeds.addresses import public_address, without_credentials
from flows.feeds.coinbase_exchange.client import open_exchange
from flows.feeds.handshake import MOST_REDIRECTS, RedirectError, connect, redirected
from flows.feeds.protocol import Limits
from flows.feeds.websocket import reachable
from tests.support.kafka.security import make_security
from tests.support.polling import until
from tests.support.tls_proxy import TlsProxy
from tests.support.venues.server import Refusal, VenueConnection, VenueServer

ASKED = "wss://user:hush@feed.example:4430/ws/v1?key=hush"


class Recording:
    """What connections were asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[set[str]] = []
        self.authorizations: list[str | None] = []

    def script(self, connection: VenueConnection) -> None:
        self.paths.append(connection.path)
        self.headers.append({name.lower() for name, _ in connection.headers.raw_items()})
        self.authorizations.append(connection.headers.get("authorization"))
        connection.hang()

    def visit(self, url: str) -> None:
        """Connect to an address, and leave once the script runs."""
        before = len(self.paths)
        connection = connect(url, 10.0)
        until(lambda: len(self.headers) > before, "a connection")
        connection.close()


def moved(location: str | None, status: int = 302) -> Refusal:
    return Refusal(status, {} if location is None else {"Location": location})


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        pytest.param("wss://b.example/ws", "wss://b.example/ws", id="absolute"),
        pytest.param("https://b.example/ws?a=1", "wss://b.example/ws?a=1", id="https"),
        pytest.param("HTTPS://b.example/ws", "wss://b.example/ws", id="capitals"),
        pytest.param("//b.example:1/ws", "wss://b.example:1/ws", id="without a scheme"),
        pytest.param("/v2?a=1", "wss://user:hush@feed.example:4430/v2?a=1", id="from the root"),
        pytest.param("v2", "wss://user:hush@feed.example:4430/ws/v2", id="beside it"),
        pytest.param("?a=1", "wss://user:hush@feed.example:4430/ws/v1?a=1", id="another query"),
        pytest.param(" /v2#top ", "wss://user:hush@feed.example:4430/v2", id="blanks, a fragment"),
    ],
)
def test_where_a_redirect_leads(location: str, expected: str) -> None:
    assert redirected(ASKED, location) == expected


@pytest.mark.parametrize(
    ("asked", "location", "expected"),
    [
        pytest.param("ws://a.example/", "http://b.example/", "ws://b.example/", id="http"),
        pytest.param("ws://a.example/", "https://b.example/", "wss://b.example/", id="upgrade"),
        pytest.param("ws://[::1]:8/x", "y", "ws://[::1]:8/y", id="version 6"),
    ],
)
def test_where_a_redirect_of_a_plain_address_leads(
    asked: str, location: str, expected: str
) -> None:
    assert redirected(asked, location) == expected


@pytest.mark.parametrize(
    ("location", "words"),
    [
        pytest.param(None, "names no address", id="none"),
        pytest.param("", "names no address", id="empty"),
        pytest.param("wss://b.example:99999/", "names no address", id="no port"),
        pytest.param("wss://[b/", "names no address", id="half an address"),
        pytest.param("mailto:a@b.example", "names no address", id="mail"),
        pytest.param("ftp://b.example/x?key=hush", "ftp://b.example/x, which is no W", id="files"),
        pytest.param("ws://u:hush@b.example/x", "ws://b.example/x, which is not enc", id="ws"),
        pytest.param("http://b.example/x?k=hush", "http://b.example/x, which is not", id="http"),
    ],
)
def test_a_redirect_that_is_not_followed_says_why_without_secrets(
    location: str | None, words: str
) -> None:
    with pytest.raises(RedirectError) as error:
        redirected(ASKED, location)
    assert words in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "plain", "pair"),
    [
        ("ws://a.example/x?y=1", "ws://a.example/x?y=1", None),
        ("ws://u:p@a.example:8/x?y=1", "ws://a.example:8/x?y=1", "u:p"),
        ("wss://u@[::1]:8/", "wss://[::1]:8/", "u:"),
        ("wss://:p@a.example", "wss://a.example", ":p"),
        ("wss://u%3A:p%40%C3%A9:q@a.example", "wss://a.example", "u::p@\u00e9:q"),
    ],
    ids=["none", "both", "user", "password", "escaped"],
)
def test_credentials_of_an_address(given: str, plain: str, pair: str | None) -> None:
    url, authorization = without_credentials(given)
    assert url == plain
    assert authorization == (None if pair is None else f"Basic {b64encode(pair.encode()).decode()}")


def test_credentials_are_sent_to_the_host_of_their_address() -> None:
    seen = Recording()
    with VenueServer([seen.script], [None, moved("/there")]) as server:
        address = server.url.replace("ws://", "ws://user:hush@")
        for _ in range(2):
            seen.visit(f"{address}/here")
        seen.visit(f"{server.url}/here")
    wanted = f"Basic {b64encode(b'user:hush').decode()}"
    assert seen.paths == ["/here", "/there", "/here"]
    assert seen.authorizations == [wanted, wanted, None]


def test_messages_show_neither_user_nor_query() -> None:
    assert public_address(ASKED) == "wss://feed.example:4430/ws/v1"


def test_a_chain_is_followed_and_each_step_is_relative_to_the_one_before() -> None:
    seen = Recording()
    with VenueServer([seen.script]) as other:
        there = other.url.removeprefix("ws:")
        chain = [moved("/a/b", 301), moved("c", 308), moved(f"http:{there}/d/e", 303)]
        with VenueServer([seen.script], chain) as server:
            seen.visit(f"{server.url}/start")
    assert (server.attempts, server.connections, other.attempts) == (MOST_REDIRECTS, 0, 1)
    assert seen.paths == ["/d/e"]


def test_a_circle_is_left_and_said() -> None:
    with VenueServer([], [moved("/again?key=hush")] * 9) as server:
        with pytest.raises(RedirectError, match=r"more than 3 redirects, the last to .*/again$"):
            connect(f"{server.url}/again", 10.0)
        assert server.attempts == MOST_REDIRECTS + 1
        assert not reachable(server.url, 10.0)


def test_neither_credentials_nor_cookies_reach_another_host() -> None:
    seen = Recording()
    with VenueServer([seen.script]) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        answer = Refusal(302, {"Location": f"{elsewhere}/", "Set-Cookie": "id=hush"})
        with VenueServer([seen.script], [answer]) as server:
            with_user = server.url.replace("ws://", "ws://user:hush@")
            seen.visit(f"{with_user}/?key=hush")
    assert seen.paths == ["/"]
    assert not {"authorization", "cookie"} & seen.headers[0]


def test_a_feed_says_why_a_redirect_fails_and_hides_what_is_secret() -> None:
    limits = Limits(backoff_s=0.01, backoff_cap_s=0.02)
    with (
        structlog.testing.capture_logs() as logs,
        VenueServer([], [moved("/loop?key=hush")] * 99) as server,
    ):
        shown = f"{server.url}/ws"
        with_secrets = shown.replace("ws://", "ws://user:hush@") + "?key=hush"
        feed = open_exchange(("BTC-USD",), with_secrets, limits)
        try:
            until(lambda: any("reason" in entry for entry in logs), "a reason")
        finally:
            feed.close()
    first = next(entry for entry in logs if "reason" in entry)
    assert (first["feed"], first["url"]) == ("coinbase-exchange", shown)
    assert "redirects" in first["reason"]
    assert "hush" not in str(logs) + feed.name


@contextmanager
def encrypted(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    security = make_security(folder, "unused")
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(security.folder / "ca.pem"))
    with TlsProxy(security.folder / "server.pem", port) as proxy:
        yield f"wss://127.0.0.1:{proxy.port}"


def test_an_encrypted_connection_stays_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Recording()
    # The first of two calls is sent to another path, the second to a plain address.
    answers = [moved("/there"), None, moved("ws://127.0.0.1:1/plain")]
    server = VenueServer([seen.script], answers)
    with server, encrypted(tmp_path, int(server.url.rpartition(":")[2]), monkeypatch) as url:
        seen.visit(f"{url}/here")
        assert seen.paths == ["/there"]
        with pytest.raises(RedirectError, match="/plain, which is not encrypted, is refused"):
            connect(f"{url}/here", 10.0)
    assert seen.paths == ["/there"]


def test_a_refusal_that_is_no_redirect_stays_one() -> None:
    with (
        VenueServer([], [moved("/there"), Refusal(404)]) as server,
        pytest.raises(websocket.WebSocketBadStatusException),
    ):
        connect(server.url, 10.0)
