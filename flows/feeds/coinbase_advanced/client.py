"""Coinbase Advanced Trade's protocol: ``market_trades`` for the trades, ``ticker`` for the quotes.

One subscription names one channel. ``heartbeats`` come every second, whatever the products do, and
keep quiet channels open.
"""

from collections.abc import Sequence

import msgspec

from flows.feeds.coinbase_advanced.messages import AnyMessage
from flows.feeds.coinbase_advanced.parse import VENUE, AdvancedParser
from flows.feeds.coinbase_exchange.client import named_in, product_of
from flows.feeds.lenient import error_text
from flows.feeds.protocol import Limits, Notice
from flows.feeds.websocket import WebSocketFeed
from schemas.decoding import UNREADABLE

URL = "wss://advanced-trade-ws.coinbase.com"
CHANNELS = ("heartbeats", "ticker", "market_trades")

_ACKNOWLEDGED = Notice(acknowledged=True)


class AdvancedProtocol:
    """Subscribe to trades, quotes and heartbeats of the products; find the refused ones."""

    venue = VENUE
    probe: str | None = None
    messages_per_s = 8.0

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(AnyMessage, strict=False).decode

    def address(self, url: str, symbols: Sequence[str]) -> str:  # noqa: ARG002  # of the interface
        """Return the address as it is: symbols are not named in it."""
        return url

    def requests(self, symbols: Sequence[str]) -> list[str]:
        """Return one message for each channel."""
        products = [product_of(symbol) for symbol in symbols]
        return [
            msgspec.json.encode(
                {"type": "subscribe", "product_ids": products, "channel": channel}
            ).decode()
            for channel in CHANNELS
        ]

    def notice(self, text: str) -> Notice | None:
        """Return what a message asks of the client; None for market data."""
        if '"subscriptions"' in text:
            return _ACKNOWLEDGED
        if '"error"' not in text:
            return None
        try:
            message = self._decode(text)
        except UNREADABLE:
            return Notice()
        if message.type != "error":
            return None
        return Notice(refused=error_text(message.message, message.reason))

    def refused(self, words: str, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that a refusal names."""
        return named_in(words, symbols)

    def parser(self) -> AdvancedParser:
        """Return a new parser that knows of the subscription to trades."""
        return AdvancedParser(trades=True, marked=True)


def open_advanced(
    symbols: Sequence[str], url: str | None = None, limits: Limits | None = None
) -> WebSocketFeed:
    """Connect to Coinbase Advanced Trade, or to another address that speaks its protocol."""
    return WebSocketFeed(AdvancedProtocol(), symbols, url or URL, limits=limits)
