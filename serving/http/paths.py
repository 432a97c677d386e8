"""Request paths as clients and proxies write them, and the requests that HEAD makes.

A path parameter may hold a slash (``BTC/USDT``). Clients escape it, and servers unescape it before
a route is looked for, so that it could not be told from a slash between two parameters. Here it
stays escaped until the route has been found: see :func:`parameter`.
"""

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A route's expression would take a line end for the end of the path.
_PERCENT, _SLASH, _LINE_END = "%25", "%2F", "%0A"
# Their files refer to others relative to their own address, so a slash at the end is not equal.
_PAGES = frozenset({"/", "/docs"})
ASKED_METHOD = "voltick.method"
"""Key of the scope that holds the method the client sent, where another one is run."""


def canonical_path(raw_path: bytes) -> str:
    """Return the unescaped path; slashes, percent signs and line ends of its parts stay escaped.

    Bytes that are not UTF-8 become U+FFFD, as the server does it.
    """
    parts = raw_path.decode("latin-1").split("/")
    plain = (unquote(part, errors="replace") for part in parts)
    return "/".join(
        part.replace("%", _PERCENT).replace("/", _SLASH).replace("\n", _LINE_END) for part in plain
    )


def parameter(value: str) -> str:
    """Return a path parameter as the client meant it."""
    return value.replace(_SLASH, "/").replace(_LINE_END, "\n").replace(_PERCENT, "%")


def route_path(scope: Scope) -> str:
    """Return the path below the root path, as routes are written."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class Paths:
    """Puts the path that a route is looked for into one form, below the API's root path.

    A slash at the end makes no difference. A proxy may send the root path along or take it away.

    Parameters
    ----------
    root_path
        Path under which a proxy publishes the API, without a slash at its end; empty for none.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path") or self._root_path
        raw_path = scope.get("raw_path") or scope["path"].encode()
        path = canonical_path(raw_path.partition(b"?")[0])
        if root and (path == root or path.startswith(f"{root}/")):
            path = path[len(root) :]
        path = path or "/"
        if len(path) > 1 and path.endswith("/") and path.rstrip("/") not in _PAGES:
            path = path.rstrip("/") or "/"
        scope["root_path"] = root
        scope["path"] = root + path
        await self._app(scope, receive, send)


class Head:
    """Answers HEAD wherever GET is: the same status and headers, without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_without_body(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.body":
                if ended:
                    return
                ended = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        # To the route the client seems to have hung up, which ends a stream that has no end.
        await self._app({**scope, "method": "GET", ASKED_METHOD: "HEAD"}, _gone, send_without_body)


async def _gone() -> Message:
    return {"type": "http.disconnect"}
