"""Coinbase Exchange's candles: ``GET /products/BTC-USD/candles``, at most 300 a page.

A candle is ``[time, low, high, open, close, volume]``, time in seconds, volume of the base
currency, newest first; a minute without a trade has none. Both ends of a request count: 300 candles
end 299 intervals after they start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from flows.bars.bar import Bar, Page
from flows.bars.span import INTERVALS_S, Span
from flows.bars.venue import opening_ns, optional, read_rows, required
from flows.errors import FeedError
from flows.feeds.retrying import Limits, RestClient
from flows.numeric.time import NS_PER_S, text_of
from schemas.feeds import hyphenated

NAME: Final = "coinbase"
URL = "https://api.exchange.coinbase.com"
# Ten requests a second and address are allowed.
LIMITS = Limits(interval_s=0.15)


class CoinbaseBars:
    """Candles by REST."""

    name = NAME
    intervals: Mapping[str, str] = {
        name: str(INTERVALS_S[name]) for name in ("1m", "5m", "15m", "1h", "6h", "1d")
    }
    page_bars = 300
    settle_s = 30
    reach_days: Mapping[str, int] = {}

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def symbol(self, text: str) -> str:
        """Return ``BTC-USD``."""
        found = hyphenated(text)
        if "-" not in found.strip("-"):
            message = f"symbol {text!r} has no separator; write it as BASE-QUOTE, such as BTC-USD"
            raise FeedError(message)
        return found

    def fetch(self, symbol: str, interval: str, span: Span) -> Page:
        """Ask for one page."""
        interval_ns = INTERVALS_S[interval] * NS_PER_S
        answer = self._client.get(
            f"/products/{quote(symbol, safe='')}/candles",
            {
                "granularity": self.intervals[interval],
                "start": text_of(span.from_ns),
                "end": text_of(span.to_ns - interval_ns),
            },
        )
        return replace(read_candles(answer.body, interval_ns), date_s=answer.date_s())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def read_candles(body: bytes, interval_ns: int) -> Page:
    """Return the bars of an answer.

    Raises
    ------
    VenueError
        It is no list of candles.
    """

    def bar(row: Sequence[Any]) -> Bar:
        return Bar(
            ts_open_ns=opening_ns(row[0]),
            low=required(row[1], "low"),
            high=required(row[2], "high"),
            open=required(row[3], "open"),
            close=required(row[4], "close"),
            volume=optional(row[5], "volume"),
        )

    return read_rows(NAME, body, bar, interval_ns)
