"""Bodies of bounded size: a size that is announced needs not be waited for."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request

from serving.http.problems import ApiError
from serving.http.requests import read_body

LIMIT = 100


def read(length: str | None, chunks: Sequence[bytes]) -> bytes:
    """Read a body that comes in chunks; asking for one more is an error of the test."""
    headers = [] if length is None else [(b"content-length", length.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    messages = [
        {"type": "http.request", "body": chunk, "more_body": at + 1 < len(chunks)}
        for at, chunk in enumerate(chunks)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return asyncio.run(read_body(Request(scope, receive), LIMIT))


@pytest.mark.parametrize("length", ["101", "99999999999", "18446744073709551615"])
def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(length: str) -> None:
    """A client that announces it and sends nothing would hold a place for half a minute."""
    with pytest.raises(ApiError, match="larger than 100 bytes") as caught:
        read(length, [])
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "length", [None, "2", "100", "", "two", "-1", "²", "9" * 5_000], ids=range(8)
)
def test_what_is_announced_otherwise_is_read(length: str | None) -> None:
    assert read(length, [b"{", b"}"]) == b"{}"


def test_a_body_that_is_larger_than_announced_is_refused_where_it_passes_the_limit() -> None:
    with pytest.raises(ApiError, match="larger than 100 bytes"):
        read("2", [b" " * 60, b" " * 60, b"never read"])
