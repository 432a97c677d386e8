"""A client that hangs up is no error of the API: no line in the log, no answer 500."""

import asyncio

import pytest
import structlog
from starlette.requests import Request

from serving.http.middleware import CatchAll
from serving.http.problems import ApiError
from serving.http.requests import read_body

SCOPE = {"type": "http", "method": "POST", "path": "/predict", "headers": []}


async def _answer(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _fail(_scope, _receive, _send) -> None:
    cause = "the handler is closed"
    raise RuntimeError(cause)


async def _hang_up():
    return {"type": "http.disconnect"}


def served(app, error: Exception | None) -> tuple[list[str], list[int]]:
    """Return the log's lines and the answers of an app whose ``send`` fails."""
    statuses = []

    async def send(message) -> None:
        if error is not None:
            raise error
        statuses.append(message.get("status"))

    async def run() -> None:
        await CatchAll(app)(dict(SCOPE), _hang_up, send)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(run())
    return [line["event"] for line in lines], statuses


@pytest.mark.parametrize(
    "error",
    [RuntimeError("<TCPTransport closed=True>; the handler is closed"), ConnectionResetError()],
    ids=["uvloop", "asyncio"],
)
def test_an_answer_that_nobody_takes_is_no_error(error: Exception) -> None:
    assert served(_answer, error) == ([], [])


def test_a_wrong_use_of_the_server_is_an_error() -> None:
    error = RuntimeError("Unexpected ASGI message")
    with pytest.raises(RuntimeError, match="Unexpected"):
        served(_answer, error)


def test_the_same_words_from_within_are_an_error() -> None:
    lines, statuses = served(_fail, None)
    assert lines == ["request failed"]
    assert statuses[0] == 500


def test_a_body_that_ends_early_is_the_clients() -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(messages)

    with pytest.raises(ApiError, match="hung up") as caught:
        asyncio.run(read_body(Request(dict(SCOPE), receive), 100))
    assert caught.value.status == 400
