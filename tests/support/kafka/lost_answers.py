"""Apache Kafka whose answers to a producer get lost on the way, after it has done what it answers.

What a producer without idempotence sends again then lies in the log twice.
"""

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.kafka.apache import ApacheNode
from tests.support.kafka.proxied import ProxiedKafka
from tests.support.polling import free_ports, until

LISTENER = "DETOUR"
_PRODUCE = 0
_SIZE = struct.Struct(">i")
_REQUEST = struct.Struct(">hhi")
_ANSWER = struct.Struct(">i")
_PATIENCE_S = 600.0
_LOSS_LIMIT_S = 90.0


class AnswerLoser:
    """A proxy in front of one broker that understands where Kafka's requests and answers begin.

    Parameters
    ----------
    target
        Port of the broker.
    port
        Where to listen.

    Attributes
    ----------
    lost
        How many answers to produce requests were dropped; each ended its connection.
    """

    def __init__(self, target: int, port: int) -> None:
        self.lost = 0
        self._asked = 0
        self._taken = 0
        self._target = target
        self._port = port
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None

    def lose_one(self) -> int:
        """Drop the answer to the next produce request; return how many are lost then."""
        with self._lock:
            self._asked += 1
            return self._asked

    def wait_lost(self, count: int) -> None:
        """Wait until so many answers have been lost."""
        until(lambda: self.lost >= count, "an answer to get lost", _LOSS_LIMIT_S)

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=[self._server], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        with self._lock:
            ends = [self._server, *self._open]
        for end in ends:
            _hang_up(end)

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target), _PATIENCE_S)
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    self._open += [near, far]
                _Connection(self, near, far).start()

    def _takes(self) -> bool:
        """Tell whether the answer to the produce request at hand is to be dropped."""
        with self._lock:
            if self._taken == self._asked:
                return False
            self._taken += 1
            return True

    def _note(self) -> None:
        with self._lock:
            self.lost += 1


class _Connection:
    """One client's way to the broker and back."""

    def __init__(self, proxy: AnswerLoser, near: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._dropped: set[int] = set()

    def start(self) -> None:
        """Begin to pass requests and answers on."""
        for passing in (self._requests, self._answers):
            threading.Thread(target=self._guarded, args=[passing], daemon=True).start()

    def _guarded(self, passing: object) -> None:
        assert callable(passing)
        try:
            passing()
        except (OSError, EOFError):
            pass  # one side has hung up: so does the other
        finally:
            _hang_up(self._near)
            _hang_up(self._far)

    def _requests(self) -> None:
        while True:
            request = _frame(self._near)
            key, _version, number = _REQUEST.unpack_from(request)
            if key == _PRODUCE and self._proxy._takes():
                self._dropped.add(number)
            self._far.sendall(_SIZE.pack(len(request)) + request)

    def _answers(self) -> None:
        while True:
            answer = _frame(self._far)
            if _ANSWER.unpack_from(answer)[0] in self._dropped:
                self._proxy._note()
                return
            self._near.sendall(_SIZE.pack(len(answer)) + answer)


def _frame(source: socket.socket) -> bytes:
    return _exactly(source, _SIZE.unpack(_exactly(source, _SIZE.size))[0])


def _exactly(source: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        some = source.recv(count - len(data))
        if not some:
            raise EOFError
        data += some
    return bytes(data)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


class AnswerLosingKafka(ProxiedKafka):
    """One node; producers of input reach it by a proxy, everybody else directly.

    Attributes
    ----------
    proxy
        Between producers of input and the node.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._listens, self._told = free_ports(2)
        self.proxy = AnswerLoser(self._listens, self._told)
        self.proxies.append(self.proxy)

    def producer_config(self) -> dict[str, str]:
        """Return what a producer of input needs to connect."""
        return {**self.client_config(), "bootstrap.servers": f"127.0.0.1:{self._told}"}

    def _node_properties(self, node: ApacheNode) -> dict[str, str]:
        properties = super()._node_properties(node)
        told = {
            "listeners": f"{LISTENER}://127.0.0.1:{self._listens}",
            "advertised.listeners": f"{LISTENER}://127.0.0.1:{self._told}",
            "listener.security.protocol.map": f"{LISTENER}:PLAINTEXT",
        }
        return {**properties, **{name: f"{properties[name]},{more}" for name, more in told.items()}}
