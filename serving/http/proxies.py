"""What a reverse proxy says about a request: believed from trusted addresses alone."""

import ipaddress
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

EVERYBODY = "*"
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class TrustedProxies:
    """Takes client address, scheme and path prefix from ``X-Forwarded-*`` of trusted proxies.

    ``X-Forwarded-Prefix`` is the path under which the proxy publishes the API. From any other
    address the three headers are without effect.

    Parameters
    ----------
    trusted
        Addresses or networks, or ``*``; empty for none.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._everybody = EVERYBODY in trusted
        self._networks = [ipaddress.ip_network(each) for each in trusted if each != EVERYBODY]
        self._with_client = ProxyHeadersMiddleware(app, trusted_hosts=list(trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not self._is_trusted(scope):
            await self._app(scope, receive, send)
            return
        prefix = forwarded_prefix(scope)
        if prefix:
            scope["root_path"] = prefix
        await self._with_client(scope, receive, send)  # type: ignore[arg-type]

    def _is_trusted(self, scope: Scope) -> bool:
        if self._everybody:
            return True
        client = scope.get("client")
        if not self._networks or client is None:
            return False
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def forwarded_prefix(scope: Scope) -> str:
    """Return ``X-Forwarded-Prefix`` without a slash at its end; empty where it is no plain path."""
    for name, value in scope["headers"]:
        if name == b"x-forwarded-prefix":
            prefix = value.decode("latin-1").strip().rstrip("/")
            return prefix if _PREFIX.fullmatch(prefix) else ""
    return ""
