"""Local HTTP servers that speak the REST protocols of Coinbase Exchange and Binance.

A venue has trades with rising ids and quotes; a test adds trades and says which requests fail.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

NEW_YEAR_S = 1_700_000_000.0


@dataclass
class Fault:
    """What happens to one request instead of an answer.

    ``body`` replaces the body; ``cut`` sends so many bytes fewer than are announced; ``stall_s``
    says nothing for so long; ``drop`` closes at once.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    cut: int = 0
    stall_s: float = 0.0
    drop: bool = False


Meddle = Callable[[int, str], Fault | None]
"""From the number of a request, counted from 1, and its path to its fault."""


class RestVenue:
    """A venue on a free port of 127.0.0.1; :class:`Coinbase` and :class:`Binance` speak for it.

    Attributes
    ----------
    asked
        Paths of all requests, in order.
    clock_skew_s
        How far the venue's clock, in the Date header, is ahead of this host's.
    """

    def __init__(self, meddle: Meddle = lambda _number, _path: None) -> None:
        self.asked: list[str] = []
        self.clock_skew_s = 0.0
        self.meddle = meddle
        self.quoted: dict[str, tuple[float, float]] = {}
        self._trades: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def trade(self, symbol: str, first_id: int, count: int = 1) -> None:
        """Let some trades happen, a tenth of a second apart."""
        made = [self.made(symbol, number) for number in range(first_id, first_id + count)]
        with self._lock:
            self._trades.setdefault(symbol, []).extend(made)

    def made(self, symbol: str, trade_id: int) -> dict[str, Any]:
        raise NotImplementedError

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, object]:
        raise NotImplementedError

    def known(self, symbol: str) -> list[dict[str, Any]] | None:
        with self._lock:
            trades = self._trades.get(symbol)
            return None if trades is None else list(trades)

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.asked.append(handler.path)
            number = len(self.asked)
        fault = self.meddle(number, handler.path) or Fault()
        self._stopping.wait(fault.stall_s)
        if fault.drop:
            handler.close_connection = True
            return
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = self.answer(parts.path, query)
        status = fault.status if fault.status != 200 else status
        data = (json.dumps(body) if fault.body is None else fault.body).encode()
        handler.send_response_only(status)
        now = datetime.fromtimestamp(time.time() + self.clock_skew_s, UTC)
        headers = {
            "Date": format_datetime(now, usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **fault.headers,
        }
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data[: len(data) - fault.cut])
        if fault.cut:
            handler.close_connection = True

    def __enter__(self) -> Self:
        respond = self._respond

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    respond(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


class Coinbase(RestVenue):
    """``/products/X/trades``, newest first, with both cursors, and ``/products/X/ticker``."""

    without_trades = False

    def made(self, symbol: str, trade_id: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(NEW_YEAR_S + trade_id / 10, UTC)
        return {
            "trade_id": trade_id,
            "side": "buy" if trade_id % 2 else "sell",
            "size": "0.50000000",
            "price": f"{100 + trade_id % 7}.00000000",
            "time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, object]:
        _, _, symbol, what = path.split("/")
        trades = self.known(symbol)
        if trades is None or (what == "trades" and self.without_trades):
            return 404, {"message": "NotFound"}
        if what == "ticker":
            bid, ask = self.quoted.get(symbol, (99.0, 101.0))
            newest = {key: value for key, value in trades[-1].items() if key != "side"}
            return 200, {**newest, "bid": str(bid), "ask": str(ask), "volume": "7"}
        chosen = [
            trade
            for trade in trades
            if int(query.get("before", 0)) < trade["trade_id"] < int(query.get("after", 2**62))
        ]
        return 200, chosen[: -int(query.get("limit", 100)) - 1 : -1]


class Binance(RestVenue):
    """``/api/v3/trades`` and ``historicalTrades``, oldest first, and ``ticker/bookTicker``."""

    without_history = False

    def made(self, symbol: str, trade_id: int) -> dict[str, Any]:
        return {
            "id": trade_id,
            "price": f"{100 + trade_id % 7}.0",
            "qty": "2.0",
            "quoteQty": "200.0",
            "time": int(NEW_YEAR_S * 1000) + trade_id * 100,
            "isBuyerMaker": trade_id % 2 == 1,
            "isBestMatch": True,
        }

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, object]:
        symbol = query["symbol"]
        trades = self.known(symbol)
        if trades is None:
            return 400, {"code": -1121, "msg": "Invalid symbol."}
        limit = int(query.get("limit", 500))
        if path == "/api/v3/trades":
            return 200, trades[-limit:]
        if path == "/api/v3/historicalTrades" and not self.without_history:
            first = int(query["fromId"])
            return 200, [trade for trade in trades if trade["id"] >= first][:limit]
        if path == "/api/v3/ticker/bookTicker":
            bid, ask = self.quoted.get(symbol, (99.0, 101.0))
            return 200, {"symbol": symbol, "bidPrice": str(bid), "bidQty": "5",
                         "askPrice": str(ask), "askQty": "6"}  # fmt: skip
        return 404, {}
