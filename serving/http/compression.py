"""Large JSON answers, compressed for clients that take it.

Hundreds of scores are hundreds of kilobytes, which a page asks for every few seconds: a slow
connection gets a seventh of that through in time. Small answers and event streams pass.
"""

import asyncio
import gzip

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.negotiation import takes_gzip

WORTH_BYTES = 8 * 1024
IN_A_THREAD_BYTES = 256 * 1024
"""What takes more than some milliseconds is left to a thread, so that others are answered."""

_LEVEL = 1  # further levels cost several times as much, and save little more
_JSON = b"application/json"


class Compression:
    """Compresses complete JSON answers of :data:`WORTH_BYTES` and more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not _takes_gzip(scope):
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_worth(message):
                held = message  # until its body is there
                return
            if held is not None:
                start, held = held, None
                if not message.get("more_body", False):
                    message = {**message, "body": await _compressed(message["body"])}
                    start = {**start, "headers": _headers(start, len(message["body"]))}
                await send(start)
            await send(message)

        await self._app(scope, receive, send_compressed)


def _takes_gzip(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return takes_gzip(value.decode("latin-1"))
    return False


def _is_worth(start: Message) -> bool:
    headers = dict(start.get("headers", ()))
    return (
        headers.get(b"content-type") == _JSON
        and b"content-encoding" not in headers
        and int(headers.get(b"content-length", b"0")) >= WORTH_BYTES
    )


def _headers(start: Message, size: int) -> list[tuple[bytes, bytes]]:
    kept = [each for each in start["headers"] if each[0] != b"content-length"]
    return [
        *kept,
        (b"content-length", b"%d" % size),
        (b"content-encoding", b"gzip"),
        (b"vary", b"Accept-Encoding"),
    ]


async def _compressed(body: bytes) -> bytes:
    if len(body) < IN_A_THREAD_BYTES:
        return gzip.compress(body, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
