"""REST servers that give the bars of a made-up market as the venues do, and go wrong on request."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.rest_server import Reply, Request

MINUTE_MS = 60_000
NOT_FOUND = 404
BAD_REQUEST = 400


@dataclass(frozen=True)
class TrueBar:
    """One minute of the made-up market."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int


def market(
    first_ms: int, minutes: int, seed: int = 1, without: Sequence[int] = ()
) -> list[TrueBar]:
    """Return bars of a random walk, with a hole for each minute in ``without``."""
    draw = random.Random(seed)  # noqa: S311
    price = 50_000.0
    bars = []
    for minute in range(minutes):
        opened = price
        price = round(price * (1 + draw.gauss(0, 1e-3)), 2)
        high = round(max(opened, price) + draw.random(), 2)
        low = round(min(opened, price) - draw.random(), 2)
        volume = round(draw.random() * 10, 8)
        bar = TrueBar(
            first_ms + minute * MINUTE_MS,
            opened,
            high,
            low,
            price,
            volume,
            round(volume * price, 8),
            draw.randrange(1, 500),
        )
        if minute not in without:
            bars.append(bar)
    return bars


@dataclass
class Market:
    """What a server knows.

    Attributes
    ----------
    bars
        By the venue's symbol.
    disturb
        Changes the rows of an answer before it is sent.
    """

    bars: Mapping[str, list[TrueBar]]
    disturb: Callable[[Request, list[Any]], list[Any]] = field(default=lambda _request, rows: rows)


def binance(known: Market) -> Callable[[Request], Reply]:
    """Answer as Binance does: oldest first, at most ``limit``, times in milliseconds."""

    def answer(request: Request) -> Reply:
        assert request.path == "/api/v3/klines", request
        bars = known.bars.get(request.params["symbol"])
        if bars is None:
            return Reply(b'{"code":-1121,"msg":"Invalid symbol."}', BAD_REQUEST)
        limit = int(request.params["limit"])
        if not 1 <= limit <= 1000:
            return Reply(
                b'{"code":-1130,"msg":"Data sent for parameter \'limit\' is not valid."}', 400
            )
        start, end = int(request.params["startTime"]), int(request.params["endTime"])
        rows: list[Any] = [
            [
                *(bar.open_ms, str(bar.open), str(bar.high), str(bar.low), str(bar.close)),
                *(str(bar.volume), bar.open_ms + MINUTE_MS - 1, str(bar.quote_volume), bar.trades),
                *(str(bar.volume / 2), str(bar.quote_volume / 2), "0"),
            ]
            for bar in bars
            if start <= bar.open_ms <= end
        ][:limit]
        return Reply(json.dumps(known.disturb(request, rows)).encode())

    return answer


def coinbase(known: Market) -> Callable[[Request], Reply]:
    """Answer as Coinbase Exchange does: newest first, both ends count, at most 300."""

    def answer(request: Request) -> Reply:
        _empty, products, product, candles = request.path.split("/")
        assert (products, candles) == ("products", "candles"), request
        bars = known.bars.get(product)
        if bars is None:
            return Reply(b'{"message":"NotFound"}', NOT_FOUND)
        step_ms = int(request.params["granularity"]) * 1000
        start, end = (_ms(request.params[name]) for name in ("start", "end"))
        if (end - start) // step_ms + 1 > 300:
            words = b'{"message":"granularity too small for the requested time range"}'
            return Reply(words, BAD_REQUEST)
        rows: list[Any] = [
            [bar.open_ms // 1000, bar.low, bar.high, bar.open, bar.close, bar.volume]
            for bar in reversed(bars)
            if start <= bar.open_ms <= end
        ]
        return Reply(json.dumps(known.disturb(request, rows)).encode())

    return answer


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def yahoo(known: Market, kind: str = "CRYPTOCURRENCY") -> Callable[[Request], Reply]:
    """Answer as Yahoo's chart does, and give cookies and crumbs away."""

    def answer(request: Request) -> Reply:
        prefix = "/v8/finance/chart/"
        if request.path.endswith("getcrumb"):
            return Reply(b"crumb")
        if not request.path.startswith(prefix):
            return Reply(b"", NOT_FOUND)
        symbol = request.path.removeprefix(prefix)
        bars = known.bars.get(symbol)
        if bars is None:
            words = "No data found, symbol may be delisted"
            error = {
                "chart": {"result": None, "error": {"code": "Not Found", "description": words}}
            }
            return Reply(json.dumps(error).encode(), NOT_FOUND)
        start = int(request.params.get("period1", 0)) * 1000
        end = int(request.params.get("period2", 2**40)) * 1000
        chosen = known.disturb(request, [bar for bar in bars if start <= bar.open_ms < end])
        return Reply(json.dumps(_chart(symbol, kind, chosen)).encode())

    return answer


def _chart(symbol: str, kind: str, bars: list[TrueBar]) -> dict[str, Any]:
    quote = {
        name: [getattr(bar, name) for bar in bars] for name in ("open", "high", "low", "close")
    }
    volume = [int(bar.quote_volume) for bar in bars]
    meta = {
        "symbol": symbol,
        "instrumentType": kind,
        "currency": "USD",
        "gmtoffset": 0,
        "exchangeTimezoneName": "UTC",
        "timezone": "UTC",
        "validRanges": ["1d", "5d"],
        "dataGranularity": "1m",
        "range": "",
        "regularMarketTime": 0,
        "firstTradeDate": 0,
        "currentTradingPeriod": {},
    }
    indicators = {"quote": [{**quote, "volume": volume} if bars else {}]}
    times = [bar.open_ms // 1000 for bar in bars]
    result = {"meta": meta, "timestamp": times, "indicators": indicators}
    return {"chart": {"result": [result], "error": None}}
