"""A local server that speaks Coinbase Exchange's protocol and misbehaves on request.

Each connection runs the next of the given scripts after the subscription; when the scripts are
used up, further connections get the last one again. A script is a function of a
:class:`Connection`; returning closes the connection properly.
"""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[["Connection"], None]

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


class Connection:
    """One client's connection, as a script sees it."""

    def __init__(self, socket: ServerConnection, symbols: list[str], stopping: threading.Event):
        self.symbols = symbols
        self._socket = socket
        self._stopping = stopping

    def raw(self, message: str | bytes) -> None:
        """Send something as it is: text for str, a binary frame for bytes."""
        self._socket.send(message)

    def send(self, message: dict[str, Any]) -> None:
        """Send an object."""
        self.raw(json.dumps(message, separators=(",", ":")))

    def ack(self, *names: str) -> None:
        """Acknowledge the subscription to these channels; to ticker and heartbeat if none."""
        names = names or ("ticker", "heartbeat")
        channels = [{"name": name, "product_ids": self.symbols} for name in names]
        self.send({"type": "subscriptions", "channels": channels})

    def ticker(self, trade_id: int, symbol: str = "BTC-USD") -> None:
        """Send the ticker of a trade; its time follows from its id."""
        time = START + timedelta(milliseconds=100 * trade_id)
        self.send(
            {
                "type": "ticker",
                "sequence": 10 * trade_id,
                "product_id": symbol,
                "price": "100.5",
                "best_bid": "100.4",
                "best_bid_size": "1",
                "best_ask": "100.5",
                "best_ask_size": "2",
                "side": "buy",
                "time": time.isoformat().replace("+00:00", "Z"),
                "trade_id": trade_id,
                "last_size": "0.1",
            }
        )

    def match(self, trade_id: int, symbol: str = "BTC-USD", kind: str = "match") -> None:
        """Send a trade; its time follows from its id."""
        time = START + timedelta(milliseconds=100 * trade_id)
        self.send(
            {
                "type": kind,
                "trade_id": trade_id,
                "maker_order_id": "a",
                "taker_order_id": "b",
                "side": "sell",
                "size": "0.1",
                "price": "100.5",
                "product_id": symbol,
                "sequence": 10 * trade_id,
                "time": time.isoformat().replace("+00:00", "Z"),
            }
        )

    def heartbeat(self, last_trade_id: int, symbol: str = "BTC-USD") -> None:
        """Send a heartbeat."""
        self.send({"type": "heartbeat", "last_trade_id": last_trade_id, "product_id": symbol})

    def refuse(self, symbol: str, reason: str = "is not a valid product") -> None:
        """Refuse a product."""
        text = f"{symbol} {reason}"
        self.send({"type": "error", "message": "Failed to subscribe", "reason": text})

    def ping(self) -> bool:
        """Ping the client; whether it answers."""
        return self._socket.ping().wait(5.0)

    def hang(self) -> None:
        """Say nothing until the client leaves or the server ends."""
        while not self._stopping.is_set():
            try:
                self._socket.recv(timeout=0.05)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return

    def drop(self) -> None:
        """Cut the connection without a goodbye."""
        self._socket.socket.close()


class CoinbaseServer:
    """The venue, on a free port of 127.0.0.1.

    Attributes
    ----------
    subscriptions
        Every subscribe message received, in order.
    connections
        How many clients have connected.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.subscriptions: list[dict[str, Any]] = []
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
            request = json.loads(socket.recv(timeout=10))
            self.subscriptions.append(request)
            script = self._scripts[min(number, len(self._scripts) - 1)]
            script(Connection(socket, request["product_ids"], self._stopping))
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
