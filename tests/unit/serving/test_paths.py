"""Paths in one form: what a symbol may hold, and where the API's root is."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.paths import Head, Paths, canonical_path, parameter, route_path


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4))
def test_escaped_parts_come_back_as_they_were(parts):
    raw = "/".join(quote(part, safe="") for part in parts).encode()
    assert [parameter(part) for part in canonical_path(raw).split("/")] == parts


@given(st.binary(max_size=40))
def test_any_bytes_are_a_path(raw):
    assert isinstance(canonical_path(raw), str)


def routed(raw_path: bytes, root_path: str = "", scope_root: str = "") -> str:
    seen = []

    async def app(scope, _receive, _send):
        seen.append(route_path(scope))

    scope = {"type": "http", "path": "/", "raw_path": raw_path, "root_path": scope_root}
    asyncio.run(Paths(app, root_path)(scope, None, None))
    return seen[0]


@pytest.mark.parametrize(
    ("raw_path", "root_path", "route"),
    [
        (b"/scores", "", "/scores"),
        (b"/scores/", "", "/scores"),
        (b"/scores//", "", "/scores"),
        (b"/", "", "/"),
        (b"//", "", "/"),
        (b"/docs/", "", "/docs/"),
        (b"/scores/BTC%2FUSDT", "", "/scores/BTC%2FUSDT"),
        (b"/scores/BTC/USDT", "", "/scores/BTC/USDT"),
        (b"/scores/%25", "", "/scores/%25"),
        (b"/scores/%0A", "", "/scores/%0A"),
        (b"/voltick/scores", "/voltick", "/scores"),
        (b"/scores", "/voltick", "/scores"),
        (b"/voltick", "/voltick", "/"),
        (b"/voltick/", "/voltick", "/"),
        (b"/voltickles", "/voltick", "/voltickles"),
    ],
)
def test_path_that_a_route_is_looked_for_by(raw_path, root_path, route):
    assert routed(raw_path, root_path) == route


def test_a_proxys_prefix_wins_over_the_setting():
    assert routed(b"/other/scores", "/voltick", scope_root="/other") == "/scores"


def test_head_sends_the_start_and_an_empty_body_once():
    sent = []

    async def app(scope, receive, send):
        assert scope["method"] == "GET"
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b", "more_body": False})

    async def send(message):
        sent.append(message)

    asyncio.run(Head(app)({"type": "http", "method": "HEAD"}, None, send))
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
