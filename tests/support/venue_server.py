"""A local WebSocket server whose connections run scripts; the scripts speak the protocols.

Each connection runs the next of the given scripts; when they are used up, further connections get
the last one again. Returning closes the connection properly.
"""

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[["VenueConnection"], None]


class VenueConnection:
    """One client's connection, as a script sees it.

    Attributes
    ----------
    path
        What the client asked for, with its query.
    """

    def __init__(self, socket: ServerConnection, stopping: threading.Event) -> None:
        assert socket.request is not None
        self.path = socket.request.path
        self._socket = socket
        self._stopping = stopping

    def receive(self) -> dict[str, Any]:
        """Return the client's next message."""
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=10))
        return message

    def send(self, *messages: object) -> None:
        """Send objects as JSON, or text as it is."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self._socket.send(text if isinstance(message, str) else text.replace(": ", ":"))

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code."""
        self._socket.close(code, reason)

    def drop(self) -> None:
        """Cut the connection without a goodbye."""
        self._socket.socket.close()

    def hang(self) -> None:
        """Say nothing, answer pings, until the client leaves or the server ends."""
        while not self._stopping.is_set():
            try:
                self._socket.recv(timeout=0.05)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return


class VenueServer:
    """The venue, on a free port of 127.0.0.1.

    Attributes
    ----------
    connections
        How many clients have connected.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.connections = 0
        self._scripts = list(scripts)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address for clients."""
        assert self._server is not None
        host, port = self._server.socket.getsockname()
        return f"ws://{host}:{port}"

    def _serve(self, socket: ServerConnection) -> None:
        with self._lock:
            number = self.connections
            self.connections += 1
        try:
            script = self._scripts[min(number, len(self._scripts) - 1)]
            script(VenueConnection(socket, self._stopping))
        except (ConnectionClosed, TimeoutError, OSError):
            return

    def __enter__(self) -> Self:
        self._server = serve(self._serve, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(5)
