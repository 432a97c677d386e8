"""What the metrics of every flow have in common: a registry of their own, answered to scrapes."""

import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
)
from prometheus_client.exposition import ThreadingWSGIServer

from flows.host.server_names import REFUSED, ServerNames

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and what is said of it."""

    is_well: bool
    details: Mapping[str, Any]


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # the library's name
        """Say nothing of each request."""


def _with_health(metrics: "WSGIApplication", health: Callable[[], Health]) -> "WSGIApplication":
    """Answer ``/health`` by a function and everything else by another application."""

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/health":
            return metrics(environ, start_response)
        found = health()
        word = "ok" if found.is_well else "failing"
        body = msgspec.json.encode({"status": word, **found.details})
        status = "200 OK" if found.is_well else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    return app


def _for_names(app: "WSGIApplication", names: ServerNames) -> "WSGIApplication":
    """Refuse requests by names that are not the server's; an application answers the others."""

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        asked = environ.get("HTTP_HOST", "")
        if not asked or names.allow(asked):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{REFUSED.format(name=asked)}\n".encode()]

    return guarded


def _server_of(host: str) -> type[ThreadingWSGIServer]:
    """Return a server for addresses of the host's kind."""

    class Server(ThreadingWSGIServer):
        """Listens on addresses of one family."""

        address_family = socket.getaddrinfo(host, None, flags=socket.AI_PASSIVE)[0][0]

    return Server


class ServedMetrics:
    """A registry with the process's own figures; each flow adds what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def serve(
        self,
        port: int,
        health: Callable[[], Health] | None = None,
        host: str = LOOPBACK,
        names: Sequence[str] = (),
    ) -> None:
        """Answer scrapes at ``host:port/metrics``.

        Parameters
        ----------
        health
            If given, its answer is at ``/health``: 200 where all is well, else 503.
        names
            By which it may be asked, too; see :class:`flows.host.server_names.ServerNames`.

        Raises
        ------
        OSError
            The port is taken, or the host is none of this machine's addresses.
        """
        app = make_wsgi_app(self.registry)
        if health is not None:
            app = _with_health(app, health)
        app = _for_names(app, ServerNames(names, host))
        server = make_server(host, port, app, _server_of(host), _SilentHandler)
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)
