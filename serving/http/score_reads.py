"""Reads of latest scores that memory can answer, without the framework's way to a route.

That way costs several times what such an answer does. Whatever memory cannot answer takes it: the
routes behind answer the same bytes, and describe the calls.
"""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.context import Context
from serving.http.paths import parameter, route_path

ALL_SCORES = "/scores"
ONE_SCORE = "/scores/{symbol:path}"
MAX_SYMBOL = 64  # as in a tick

_BELOW = f"{ALL_SCORES}/"
_HISTORY = "/history"


@dataclass(frozen=True, slots=True)
class _Route:
    """What metrics need of a route."""

    path: str


_ONE = _Route(ONE_SCORE)


class ScoreReads:
    """Answers ``GET /scores/{symbol}`` from memory; everything else goes on."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        body = self._body(scope)
        if body is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ONE
        headers = [
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _body(self, scope: Scope) -> bytes | None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path = route_path(scope)
        if not path.startswith(_BELOW) or path.endswith(_HISTORY):
            return None
        symbol = parameter(path[len(_BELOW) :])
        held = self._context.latest.held(symbol) if len(symbol) <= MAX_SYMBOL else None
        if held is None:
            return None
        return held.body(self._context.clock_ns(), self._context.settings.stale_after_s)
