"""Scores as server-sent events."""

import asyncio
import contextlib
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.types import Receive, Scope, Send

from serving.context import Context, context_of
from serving.http.problems import ApiError, RedisUnavailableError
from serving.scores.stream import MAX_CLIENTS, Broadcaster
from serving.scores.subscriber import Subscriber

router = APIRouter(tags=["scores"])

HEARTBEAT_S = 10.0
STALLED_S = 20.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """Streams a subscription until the client leaves, stops reading, or the server ends.

    A client that takes nothing for ``STALLED_S`` is dropped: its connection is closed.
    """

    media_type = "text/event-stream"

    def __init__(self, context: Context, symbols: frozenset[str] | None) -> None:
        super().__init__()
        self._context = context
        self._symbols = symbols

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        broadcaster: Broadcaster = self._context.broadcaster
        async with broadcaster.subscribe(self._symbols) as client:
            watcher = asyncio.create_task(_watch(receive, client))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await self._send_chunks(client, send)
            except TimeoutError:
                self._context.metrics.stream_evicted.inc()
            finally:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunks(self, client: Subscriber, send: Send) -> None:
        chunk = b"retry: 2000\n: connected\n\n"
        while True:
            async with asyncio.timeout(STALLED_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await client.take(HEARTBEAT_S)
            if client.closed:
                return
            if client.dropped:
                chunk = b"event: dropped\ndata: %d\n\n%b" % (client.dropped, chunk)
                client.dropped = 0
            chunk = chunk or b": heartbeat\n\n"


async def _watch(receive: Receive, client: Subscriber) -> None:
    """Close the subscription once the client has hung up."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            client.close()
            return


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `score` with a prediction as data; `dropped` with"
            " the number of chunks that a slow reader missed; comments as heartbeats",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        503: {"description": "Redis does not answer, or too many streams are open"},
    },
)
async def stream(
    context: Annotated[Context, Depends(context_of)],
    symbol: Annotated[
        list[str] | None, Query(max_length=500, description="Only these symbols; repeatable.")
    ] = None,
) -> Response:
    """Stream the newest prediction of each symbol whenever it changes in Redis.

    That is up to some 50 times a second and symbol; the history is sampled more thinly.
    """
    broadcaster = context.broadcaster
    if broadcaster.client_count >= MAX_CLIENTS:
        raise ApiError(
            503,
            "too_many_streams",
            f"{MAX_CLIENTS} streams are open",
            headers={"Retry-After": "5"},
        )
    if not broadcaster.connected.is_set():
        # Just started, or Redis is gone: give it a moment to be there.
        try:
            async with asyncio.timeout(1.0):
                await broadcaster.connected.wait()
        except TimeoutError:
            cause = "no subscription"
            raise RedisUnavailableError(cause) from None
    return EventStream(context, frozenset(symbol) if symbol else None)
