"""Coinbase Exchange's protocol: ``matches`` for the trades, ``ticker`` for the quotes.

``heartbeat`` comes every second for each product, so silence means a dead connection.
"""

import re
from collections.abc import Sequence

import msgspec

from flows.feeds.coinbase_exchange.messages import Error
from flows.feeds.coinbase_exchange.parse import VENUE, ExchangeParser
from flows.feeds.lenient import error_text
from flows.feeds.protocol import Limits, Notice
from flows.feeds.websocket import WebSocketFeed
from schemas.decoding import UNREADABLE

URL = "wss://ws-feed.exchange.coinbase.com"
CHANNELS = ("matches", "ticker", "heartbeat")

_ACKNOWLEDGED = Notice(acknowledged=True)
_NOTHING = Notice()


class ExchangeProtocol:
    """Subscribe to trades, quotes and heartbeats of the products; find the refused ones."""

    venue = VENUE
    probe: str | None = None
    messages_per_s = 8.0

    def __init__(self) -> None:
        self._decode_error = msgspec.json.Decoder(Error).decode

    def address(self, url: str, symbols: Sequence[str]) -> str:  # noqa: ARG002  # of the interface
        """Return the address as it is: symbols are not named in it."""
        return url

    def requests(self, symbols: Sequence[str]) -> list[str]:
        """Return one message for all products and channels."""
        request = {
            "type": "subscribe",
            "product_ids": [product_of(symbol) for symbol in symbols],
            "channels": list(CHANNELS),
        }
        return [msgspec.json.encode(request).decode()]

    def notice(self, text: str) -> Notice | None:
        """Return what a message asks of the client; None for market data."""
        if '"subscriptions"' in text:
            return _ACKNOWLEDGED
        if '"error"' not in text:
            return None
        try:
            error = self._decode_error(text)
        except UNREADABLE:
            return _NOTHING
        return Notice(refused=error_text(error.message, error.reason))

    def refused(self, words: str, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that a refusal names."""
        return named_in(words, symbols)

    def parser(self) -> ExchangeParser:
        """Return a new parser."""
        return ExchangeParser(asks_for_matches=True)


def product_of(symbol: str) -> str:
    """Return the venue's name of a symbol: ``BTC-USD``, also for ``BTC/USD``."""
    return symbol.replace("/", "-")


def named_in(words: str, symbols: Sequence[str]) -> list[str]:
    """Return the symbols whose products an error's words name, in capitals or not."""
    names = set(re.split(r"[^A-Z0-9-]+", words.upper()))
    return [symbol for symbol in symbols if product_of(symbol) in names]


def open_exchange(
    symbols: Sequence[str], url: str | None = None, limits: Limits | None = None
) -> WebSocketFeed:
    """Connect to Coinbase Exchange, or to another address that speaks its protocol."""
    return WebSocketFeed(ExchangeProtocol(), symbols, url or URL, limits=limits)
