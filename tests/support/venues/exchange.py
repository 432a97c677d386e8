"""Coinbase Exchange for scripted tests: its messages, and a server that reads the subscription."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.venues.server import Refusal, Script, VenueConnection, VenueServer

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


class ExchangeConnection(VenueConnection):
    """A subscribed client; a trade's time follows from its id.

    Data that a script sends before any acknowledgement come behind that of ticker and heartbeat.
    """

    def __init__(self, connection: Any, stopping: threading.Event, log: list[dict[str, Any]]):
        super().__init__(connection, stopping)
        request = self.receive()
        log.append(request)
        self.symbols: list[str] = request["product_ids"]
        self._acknowledged = False

    def ack(self, *names: str) -> None:
        """Acknowledge the subscription to these channels; to ticker and heartbeat if none."""
        self._acknowledged = True
        names = names or ("ticker", "heartbeat")
        channels = [{"name": name, "product_ids": self.symbols} for name in names]
        self.send({"type": "subscriptions", "channels": channels})

    def ticker(self, trade_id: int, symbol: str = "BTC-USD") -> None:
        """Send the ticker of a trade."""
        if not self._acknowledged:
            self.ack()
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
                "time": _time(trade_id),
                "trade_id": trade_id,
                "last_size": "0.1",
            }
        )

    def match(self, trade_id: int, symbol: str = "BTC-USD", kind: str = "match") -> None:
        """Send a trade."""
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
                "time": _time(trade_id),
            }
        )

    def heartbeat(self, last_trade_id: int, symbol: str = "BTC-USD") -> None:
        """Send a heartbeat."""
        self.send({"type": "heartbeat", "last_trade_id": last_trade_id, "product_id": symbol})

    def refuse(self, symbol: str, reason: str = "is not a valid product") -> None:
        """Refuse a product."""
        text = f"{symbol} {reason}"
        self.send({"type": "error", "message": "Failed to subscribe", "reason": text})


class ExchangeServer(VenueServer):
    """The venue; its scripts get connections that have subscribed.

    Attributes
    ----------
    subscriptions
        Every first message of a connection, in order.
    """

    def __init__(self, scripts: Sequence[Script], refusals: Sequence[Refusal | None] = ()) -> None:
        super().__init__(scripts, refusals)
        self.subscriptions: list[dict[str, Any]] = []

    def connection(self, socket: Any) -> ExchangeConnection:
        """Read the subscription."""
        return ExchangeConnection(socket, self._stopping, self.subscriptions)


def _time(trade_id: int) -> str:
    return (START + timedelta(milliseconds=100 * trade_id)).isoformat().replace("+00:00", "Z")
