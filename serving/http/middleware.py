"""Middleware of every request: metrics, security headers, and an answer for unexpected errors.

Plain ASGI, since a middleware that buffers would stop event streams.
"""

import asyncio
import contextlib
import time
import traceback

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.paths import ASKED_METHOD, route_path
from serving.http.problems import error_response
from serving.http.views import ErrorBody
from serving.monitoring.metrics import ApiMetrics

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The documentation's package sets styles from its script.
_DOCS_POLICY = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

# What uvloop says of a connection that is closed already, by an error of no class of its own.
_CLOSED = "the handler is closed"
_GONE_S = 1.0

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def _with_policy(policy: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-security-policy", policy.encode()), *_HEADERS)


_PLAIN_HEADERS = _with_policy(_POLICY)
_DOCS_HEADERS = _with_policy(_DOCS_POLICY)


class SecurityHeaders:
    """Adds the headers that keep foreign script, frames and guesses about types out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = _DOCS_HEADERS if route_path(scope).startswith("/docs") else _PLAIN_HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Measure:
    """Counts requests and times them to the first byte, by route template."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Unknown paths share one label: a client can ask for any number of them.
                route = getattr(scope.get("route"), "path", "unmatched").replace(":path}", "}")
                asked = scope.get(ASKED_METHOD, scope["method"])
                method = asked if route != "unmatched" else "any"
                self._metrics.count_request(
                    method, route, message["status"], time.perf_counter() - started
                )
            await send(message)

        await self._app(scope, receive, send_measured)


class _ClientGoneError(ConnectionError):
    """The client has hung up: there is nobody to answer, and nothing is wrong here."""


async def _until_gone(receive: Receive) -> None:
    """Wait until the server knows it, too: it would complain of an answer that is not complete."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GONE_S):
            while (await receive())["type"] != "http.disconnect":
                pass


def _is_gone(error: Exception) -> bool:
    return isinstance(error, OSError) or _CLOSED in str(error)


class CatchAll:
    """Answers 500 in the one shape for an unexpected error; its cause goes to the log alone.

    A client that hangs up while it is answered is none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = True
            try:
                await send(message)
            except (OSError, RuntimeError) as error:
                if _is_gone(error):
                    raise _ClientGoneError from error
                raise

        try:
            await self._app(scope, receive, send_watched)
        except _ClientGoneError:
            await _until_gone(receive)
        except Exception as error:
            # The client gets an answer and the others are still served. The message may hold
            # addresses or secrets, so it goes to the log and not to the client.
            # As plain text: loggers that show local variables would show settings, and take long.
            trace = "".join(traceback.format_exception(error))
            structlog.get_logger().error("request failed", path=scope["path"], cause=trace)
            if started:
                raise
            body = ErrorBody("internal_error", "an unexpected error; the log has its cause")
            await error_response(500, body)(scope, receive, send)
