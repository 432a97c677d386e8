"""What the metrics of every flow have in common: a registry of their own, answered to scrapes."""

import threading
from collections.abc import Callable, Iterable, Mapping
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
    start_http_server,
)
from prometheus_client.exposition import ThreadingWSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


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


class ServedMetrics:
    """A registry with the process's own figures; each flow adds what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def serve(self, port: int, health: Callable[[], Health] | None = None) -> None:
        """Answer scrapes at ``127.0.0.1:port/metrics``.

        Parameters
        ----------
        health
            If given, its answer is at ``/health``: 200 where all is well, else 503.

        Raises
        ------
        OSError
            The port is taken.
        """
        if health is None:
            start_http_server(port, "127.0.0.1", registry=self.registry)
            return
        app = _with_health(make_wsgi_app(self.registry), health)
        server = make_server("127.0.0.1", port, app, ThreadingWSGIServer, _SilentHandler)
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)
