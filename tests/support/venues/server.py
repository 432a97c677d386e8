"""A WebSocket server whose connections run scripts; the scripts speak the venues' protocols.

Each connection runs the next of the given scripts; when they are used up, further connections get
the last one again. Returning closes the connection properly.
"""

import http
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[[Any], None]

_HEADER_OF_A_LONG_TEXT = b"\x81\x7e\x10\x00"  # 4,096 bytes follow


@dataclass(frozen=True)
class Refusal:
    """Answer of a handshake that is refused."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def response(self) -> Response:
        """Return it as the library wants it."""
        headers = Headers(**{"Content-Length": str(len(self.body.encode())), "Connection": "close"})
        headers.update(self.headers)
        reason = http.HTTPStatus(self.status).phrase
        return Response(self.status, reason, headers, self.body.encode())


class _Socket(ServerConnection):
    """The library's connection, that can be made to send nothing more, not even a pong."""

    mute = False

    def send_data(self) -> None:
        if self.mute:
            self.protocol.data_to_send()
            return
        super().send_data()


class VenueConnection:
    """One client's connection, as a script sees it.

    Attributes
    ----------
    path
        What the client asked for, with its query.
    headers
        Of its handshake.
    """

    def __init__(self, connection: _Socket, stopping: threading.Event) -> None:
        assert connection.request is not None
        self.path = connection.request.path
        self.headers = connection.request.headers
        self._connection = connection
        self._stopping = stopping

    def receive(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """Return the client's next message."""
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=timeout_s))
        return message

    def pending(self, wait_s: float = 0.0) -> Iterator[dict[str, Any]]:
        """Yield the client's messages until none has come for so long."""
        while True:
            try:
                yield self.receive(wait_s)
            except TimeoutError:
                return

    def send(self, *messages: object) -> None:
        """Send objects as JSON, or text as it is."""
        for message in messages:
            is_text = isinstance(message, str)
            self.raw(message if is_text else json.dumps(message, separators=(",", ":")))

    def raw(self, message: str | bytes) -> None:
        """Send something as it is: text for str, a binary frame for bytes."""
        self._connection.send(message)

    def burst(self, messages: Iterable[str | bytes]) -> None:
        """Send many messages in one write, so that they arrive as fast as they can."""
        frames = [
            Frame(Opcode.TEXT, each.encode()) if isinstance(each, str) else Frame(Opcode.TEXT, each)
            for each in messages
        ]
        data = b"".join(frame.serialize(mask=False) for frame in frames)
        self.octets(data)  # in one piece: no pong of the library's between

    def octets(self, data: bytes) -> None:
        """Send frames, or parts of one, as they are on the wire."""
        with self._connection.protocol_mutex:
            self._connection.socket.sendall(data)

    def ping(self) -> bool:
        """Ping the client; whether it answers."""
        return self._connection.ping().wait(5.0)

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code."""
        self._connection.close(code, reason)

    def drop(self) -> None:
        """Cut the connection without a goodbye; what was sent still arrives."""
        connection = self._connection
        connection.mute = True
        with connection.protocol_mutex:
            connection.socket.shutdown(socket.SHUT_WR)
        self.hang()

    def break_off(self) -> None:
        """Cut the connection in the middle of a frame."""
        self.octets(_HEADER_OF_A_LONG_TEXT + b'{"type":"tick')
        self.drop()

    def half_open(self) -> None:
        """Send nothing more, not even a pong, until the client leaves or the server ends."""
        self._connection.mute = True
        self.hang()

    def hang(self) -> None:
        """Say nothing, answer pings, until the client leaves or the server ends."""
        while self.listen(0.05):
            pass

    def listen(self, seconds: float) -> bool:
        """Wait for a message and ignore it; whether the client is there and the server goes on."""
        try:
            self._connection.recv(timeout=seconds)
        except TimeoutError:
            pass
        except ConnectionClosed:
            return False
        return not self._stopping.is_set()


class VenueServer:
    """A venue, on a free port of 127.0.0.1.

    Parameters
    ----------
    scripts
        What its connections do.
    refusals
        Answers to the first handshakes, None to let one through; all later ones are.

    Attributes
    ----------
    attempts, connections
        How many clients have knocked, and how many have connected.
    """

    def __init__(self, scripts: Sequence[Script], refusals: Sequence[Refusal | None] = ()) -> None:
        self.attempts = 0
        self.connections = 0
        self._scripts = list(scripts)
        self._refusals = list(refusals)
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

    def connection(self, socket: _Socket) -> VenueConnection:
        """Return what a script gets."""
        return VenueConnection(socket, self._stopping)

    def _admit(self, _connection: ServerConnection, _request: Request) -> Response | None:
        with self._lock:
            number = self.attempts
            self.attempts += 1
        refusal = self._refusals[number] if number < len(self._refusals) else None
        return None if refusal is None else refusal.response()

    def _serve(self, socket: Any) -> None:
        with self._lock:
            number = self.connections
            self.connections += 1
        try:
            script = self._scripts[min(number, len(self._scripts) - 1)]
            script(self.connection(socket))
        except (ConnectionClosed, TimeoutError, OSError):
            return

    def __enter__(self) -> Self:
        self._server = serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._admit,
            create_connection=_Socket,
            ping_interval=None,
            # A client on a busy machine still reads what was sent before the goodbye: closing
            # the socket under it would take that away.
            close_timeout=10.0,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(5)
