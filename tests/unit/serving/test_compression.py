"""Large JSON answers are compressed where the client takes it, and nothing else is."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from serving.http.compression import IN_A_THREAD_BYTES, WORTH_BYTES, Compression
from serving.http.paths import Head


def answer(request: Request) -> Response:
    size = int(request.query_params["size"])
    return Response(b"x" * size, media_type=request.query_params.get("type", "application/json"))


def encoded(_request: Request) -> Response:
    return Response(
        b"x" * WORTH_BYTES,
        media_type="application/json",
        headers={"Content-Encoding": "identity"},
    )


def streamed(_request: Request) -> Response:
    parts = [b"x" * WORTH_BYTES] * 2
    return StreamingResponse(iter(parts), media_type="application/json")


APP = Starlette(
    routes=[Route("/", answer), Route("/encoded", encoded), Route("/streamed", streamed)],
    middleware=[Middleware(Head), Middleware(Compression)],
)


def ask(path: str, method: str = "GET", accepted: str = "gzip") -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers={"Accept-Encoding": accepted})

    return asyncio.run(asked())


@pytest.mark.parametrize("size", [WORTH_BYTES, IN_A_THREAD_BYTES])
def test_a_large_answer_is_compressed(size: int) -> None:
    found = ask(f"/?size={size}")
    assert found.content == b"x" * size
    assert found.headers["content-encoding"] == "gzip"
    assert found.headers["vary"] == "Accept-Encoding"
    assert int(found.headers["content-length"]) < size / 10
    assert found.headers.get_list("content-length") == [found.headers["content-length"]]


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        (f"/?size={WORTH_BYTES}", "identity"),
        (f"/?size={WORTH_BYTES}", "gzip;q=0"),
        (f"/?size={WORTH_BYTES - 1}", "gzip"),
        ("/?size=0", "gzip"),
        (f"/?size={WORTH_BYTES}&type=text/event-stream", "gzip"),
        ("/encoded", "gzip"),
        ("/streamed", "gzip"),
    ],
    ids=["plain", "refused", "small", "empty", "events", "encoded", "streamed"],
)
def test_anything_else_passes(path: str, accepted: str) -> None:
    found = ask(path, accepted=accepted)
    assert found.headers.get("content-encoding") != "gzip"
    assert set(found.content) <= set(b"x")


def test_head_tells_the_size_of_what_get_sends() -> None:
    path = f"/?size={WORTH_BYTES}"
    head = ask(path, "HEAD")
    assert (head.content, head.headers) == (b"", ask(path).headers)
