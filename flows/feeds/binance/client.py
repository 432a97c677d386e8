"""Binance's protocol: ``trade`` and ``bookTicker`` of each symbol as combined streams.

The streams are named in the address and in a ``SUBSCRIBE`` message as well, whose answer shows that
the server listens. There are no heartbeats and quiet markets are silent, so the client asks for its
subscriptions where nothing comes: the answer is a sign of life. The venue closes each connection
after 24 hours.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flows.errors import FeedError
from flows.feeds.binance.messages import Kind
from flows.feeds.binance.pairs import split_pair
from flows.feeds.binance.parse import VENUE, BinanceParser
from flows.feeds.protocol import Limits, Notice
from flows.feeds.websocket import WebSocketFeed
from schemas.decoding import UNREADABLE
from schemas.feeds import hyphenated

URL = "wss://data-stream.binance.vision"
STREAMS = ("trade", "bookTicker")
MAX_SYMBOLS = 512
"""The venue takes 1,024 streams a connection."""

_STREAMS_PER_REQUEST = 200
_SYMBOLS_IN_ADDRESS = 50
_PROBE = 9_001
"""Id of the question whether the server is alive; those of subscriptions are lower."""

_NOTHING = Notice()
_ACKNOWLEDGED = Notice(acknowledged=True)
_LEAVING = Notice(leave="the venue shuts this server down")


class BinanceProtocol:
    """Subscribe to trades and quotes of the symbols.

    Parameters
    ----------
    symbols
        ``BTC-USDT``, ``BTC/USDT``, or ``BTCUSDT`` where its assets are certain.

    Raises
    ------
    FeedError
        The assets of a symbol without a separator are not certain.
    """

    venue = VENUE
    probe: str | None = msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": _PROBE}).decode()
    messages_per_s = 4.0

    def __init__(self, symbols: Sequence[str]) -> None:
        self._decode_answer = msgspec.json.Decoder(Kind).decode
        self._pairs = {symbol: pair_of(symbol) for symbol in symbols}

    def address(self, url: str, symbols: Sequence[str]) -> str:
        """Return the address that names the streams, unless it has a path of its own."""
        parts = urlsplit(url)
        if parts.path.rstrip("/") not in ("", "/stream") or parts.query:
            return url
        streams = "/".join(self._streams(symbols[:_SYMBOLS_IN_ADDRESS]))
        query = f"streams={streams}" if streams else ""
        return urlunsplit(parts._replace(path="/stream", query=query))

    def requests(self, symbols: Sequence[str]) -> list[str]:
        """Return the messages that name all streams, some hundreds each."""
        streams = self._streams(symbols)
        parts = range(0, len(streams), _STREAMS_PER_REQUEST)
        return [
            msgspec.json.encode(
                {
                    "method": "SUBSCRIBE",
                    "params": streams[start : start + _STREAMS_PER_REQUEST],
                    "id": number,
                }
            ).decode()
            for number, start in enumerate(parts, 1)
        ]

    def notice(self, text: str) -> Notice | None:
        """Return what a message asks of the client; None for market data."""
        if text.startswith('{"stream"'):
            return _LEAVING if '"serverShutdown"' in text else None
        if '"serverShutdown"' in text:
            return _LEAVING
        if '"id"' not in text and '"error"' not in text and '"code"' not in text:
            return None
        try:
            answer = self._decode_answer(text)
        except UNREADABLE:
            return _NOTHING
        if answer.id == _PROBE:
            return _NOTHING
        if answer.error is not None or answer.code is not None:
            return Notice(refused=text[:500])
        return _NOTHING if answer.result is msgspec.UNSET else _ACKNOWLEDGED

    def refused(self, words: str, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that a refusal names."""
        names = set(re.split(r"[\W_]+", words.lower()))
        return [symbol for symbol in symbols if self._name(symbol) in names]

    def parser(self) -> BinanceParser:
        """Return a new parser that knows the symbols asked for."""
        return BinanceParser({pair.replace("-", ""): pair for pair in self._pairs.values()})

    def _name(self, symbol: str) -> str:
        return self._pairs[symbol].replace("-", "").lower()

    def _streams(self, symbols: Sequence[str]) -> list[str]:
        return [f"{self._name(symbol)}@{kind}" for symbol in symbols for kind in STREAMS]


def pair_of(symbol: str) -> str:
    """Return the normalised symbol, ``BTC-USDT``.

    Raises
    ------
    FeedError
        It has no separator, and its assets are not certain.
    """
    pair = hyphenated(symbol)
    if "-" in pair:
        return pair
    split = split_pair(pair)
    if split is None:
        message = (
            f"symbol {symbol!r} has no separator, and its assets are not certain; write it as"
            " BASE-QUOTE, for example BTC-USDT"
        )
        raise FeedError(message)
    return split


def open_binance(
    symbols: Sequence[str], url: str | None = None, limits: Limits | None = None
) -> WebSocketFeed:
    """Connect to Binance, or to another address that speaks its protocol.

    Raises
    ------
    FeedError
        A symbol is not certain, or there are more than one connection takes.
    """
    if len(symbols) > MAX_SYMBOLS:
        message = f"{VENUE} takes {MAX_SYMBOLS} symbols a connection, not {len(symbols)}"
        raise FeedError(message)
    return WebSocketFeed(BinanceProtocol(symbols), symbols, url or URL, limits=limits)
