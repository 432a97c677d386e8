"""Requests by names that are not the API's are refused: a foreign page's that leads here."""

from starlette.types import ASGIApp, Receive, Scope, Send

from flows.host.server_names import REFUSED, ServerNames
from serving.http.problems import error_response
from serving.http.views import ErrorBody


class KnownHosts:
    """Answers 403 where the ``Host`` header has another name than the API may be asked by.

    A request without one is of no browser, and goes on.
    """

    def __init__(self, app: ASGIApp, names: ServerNames) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        refused = None if scope["type"] == "lifespan" else self._refused(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        body = ErrorBody("host_not_allowed", REFUSED.format(name=refused))
        await error_response(403, body)(scope, receive, send)

    def _refused(self, scope: Scope) -> str | None:
        named: list[str] = [
            value.decode("latin-1") for key, value in scope["headers"] if key == b"host" and value
        ]
        return next((name for name in named if not self._names.allow(name)), None)
