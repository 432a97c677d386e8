"""A local HTTP server that answers by a function; it counts what it was asked."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes
    ----------
    params
        The query's values by name.
    target
        Path and query as they came.
    body
        What was posted.
    """

    path: str
    params: Mapping[str, str]
    target: str = field(default="", compare=False)
    body: bytes = field(default=b"", compare=False)


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes
    ----------
    missing_bytes
        The connection closes that many bytes before the promised end.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0


Answerer = Callable[[Request], Reply]


class RestServer:
    """Server on a free port of the loopback interface.

    Attributes
    ----------
    answer
        Called for each request, by one thread at a time; may be replaced.
    requests
        What was asked so far, in order.
    """

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._one_at_a_time = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply_to(self, target: str, body: bytes) -> Reply:
        parts = urlsplit(target)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(parts.path, params, target, body)
        with self._one_at_a_time:
            self.requests.append(request)
            return self.answer(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        reply_to = self._reply_to

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(b"")

            def do_POST(self) -> None:
                self._reply(self.rfile.read(int(self.headers["Content-Length"])))

            def _reply(self, body: bytes) -> None:
                reply = reply_to(self.path, body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) + reply.missing_bytes))
                self.end_headers()
                with suppress(ConnectionError):  # a client that has read enough may leave
                    self.wfile.write(reply.body)
                self.close_connection = reply.missing_bytes > 0

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
