"""Binance's klines: ``GET /api/v3/klines``, at most 1,000 a page, on the host without a key.

A kline is ``[open time, open, high, low, close, volume, close time, quote volume, trades, taker buy
volume, taker buy quote volume, unused]``, times in milliseconds, prices and volumes as text.
Volumes are of the base asset unless they are called quote volume. A minute without a trade has a
kline of volume 0.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from flows.bars.bar import Bar, Page
from flows.bars.span import INTERVALS_S, Span
from flows.bars.venue import RowError, opening_ns, optional, read_rows, required, whole
from flows.feeds.binance.client import pair_of
from flows.feeds.retrying import Limits, RestClient
from flows.numeric.time import NS_PER_MS, NS_PER_S

NAME: Final = "binance"
URL = "https://data-api.binance.vision"
LIMITS = Limits(interval_s=0.1)

_PATH = "/api/v3/klines"
# Of the 6,000 that an address may use in a minute; the header tells how many are used.
_MOST_WEIGHT = 4_800
_WEIGHT_HEADER = "x-mbx-used-weight-1m"
_MINUTE_S = 60.0


class BinanceBars:
    """Klines by REST."""

    name = NAME
    intervals: Mapping[str, str] = {name: name for name in INTERVALS_S if name != "2m"}
    page_bars = 1_000
    settle_s = 5
    reach_days: Mapping[str, int] = {}

    def __init__(self, client: RestClient, now_s: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now_s = now_s

    def symbol(self, text: str) -> str:
        """Return ``BTC-USDT``; a symbol without separator is split where its assets are certain."""
        return pair_of(text)

    def fetch(self, symbol: str, interval: str, span: Span) -> Page:
        """Ask for one page."""
        answer = self._client.get(
            _PATH,
            {
                "symbol": symbol.replace("-", ""),
                "interval": self.intervals[interval],
                "startTime": span.from_ns // NS_PER_MS,
                "endTime": span.to_ns // NS_PER_MS - 1,
                "limit": self.page_bars,
            },
        )
        used = answer.headers.get(_WEIGHT_HEADER, "")
        if used.isascii() and used.isdigit() and int(used) > _MOST_WEIGHT:
            self._client.pause(_MINUTE_S - self._now_s() % _MINUTE_S)
        page = read_klines(answer.body, INTERVALS_S[interval] * NS_PER_S)
        return replace(page, date_s=answer.date_s())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def read_klines(body: bytes, interval_ns: int) -> Page:
    """Return the bars of an answer.

    Raises
    ------
    VenueError
        It is no list of klines.
    """

    def bar(row: Sequence[Any]) -> Bar:
        ts_open_ns = opening_ns(row[0])
        lasts_ns = opening_ns(whole(row[6], "closing time") + 1) - ts_open_ns
        if lasts_ns != interval_ns:
            message = f"it lasts {lasts_ns / NS_PER_S:g} s, not {interval_ns / NS_PER_S:g} s,"
            raise RowError(message)
        return Bar(
            ts_open_ns=ts_open_ns,
            open=required(row[1], "open"),
            high=required(row[2], "high"),
            low=required(row[3], "low"),
            close=required(row[4], "close"),
            volume=optional(row[5], "volume"),
            quote_volume=optional(row[7], "quote volume"),
            trade_count=None if row[8] is None else whole(row[8], "number of trades"),
            taker_buy_volume=optional(row[9], "taker's volume"),
            taker_buy_quote_volume=optional(row[10], "taker's quote volume"),
        )

    return read_rows(NAME, body, bar, interval_ns)
