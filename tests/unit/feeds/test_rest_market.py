"""One polled market, whatever ids its venue gives."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from flows.feeds.binance.rest import BinanceRest
from flows.feeds.coinbase_exchange.rest import ExchangeRest
from flows.feeds.rest.dialect import Dialect, Request
from flows.feeds.rest.market import ANEW_S, Fetched, Market
from flows.numeric.time import NS_PER_S

START_S = 1_770_000_000
OLD_IDS = range(5_000, 5_020)
DIALECTS: list[Callable[[], Dialect]] = [ExchangeRest, BinanceRest]


class Polled:
    """A venue with one trade a second, polled as often."""

    def __init__(self, dialect: Dialect) -> None:
        self.trades: list[tuple[int, int, str]] = []
        self.taken: list[int] = []
        self.now_s = START_S
        self._dialect = dialect
        self._market = Market(dialect, "BTC-USD", lambda: float(self.now_s))

    def trade(self, trade_id: int, price: str = "1") -> None:
        self.trades.append((trade_id, self.now_s + 1, price))
        self.poll()

    def poll(self) -> None:
        self.now_s += 1
        self._market.poll(self._fetch, self._take)

    def _fetch(self, request: Request) -> Fetched:
        parts = urlsplit(request.path)
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()
                 if name != "symbol"}  # fmt: skip
        body: object = {}
        if request.kind == "trades" and "products" in parts.path:
            above, below = query.get("before", -1), query.get("after", 2**63)
            newest_first = sorted(self.trades, reverse=True)
            body = [
                {"trade_id": number, "price": price, "size": "1", "side": "buy",
                 "time": datetime.fromtimestamp(at_s, UTC).isoformat()}
                for number, at_s, price in newest_first if above < number < below
            ][: query["limit"]]  # fmt: skip
        elif request.kind == "trades":
            body = [
                {"id": number, "price": price, "qty": "1", "time": at_s * 1_000}
                for number, at_s, price in self.trades[-query["limit"] :]
            ]
        text = msgspec.json.encode(body)
        return Fetched(request, 200, text, self.now_s * NS_PER_S, None)

    def _take(self, fetched: Fetched, from_id: int | None) -> None:
        if fetched.request.kind == "trades":
            trades, _unusable = self._dialect.read_trades(fetched.body)
            self.taken += [each.trade_id for each in trades if each.trade_id >= (from_id or 0)]


@pytest.fixture(params=DIALECTS, ids=["coinbase", "binance"])
def polled(request: pytest.FixtureRequest) -> Polled:
    venue = Polled(request.param())
    for number in OLD_IDS:
        venue.trade(number)
    assert venue.taken == list(OLD_IDS)
    return venue


def test_a_venue_that_counts_its_trades_anew_is_read_on(polled: Polled) -> None:
    polled.trades.clear()
    for number in range(1, 101):
        polled.trade(number)
    assert polled.taken == [*OLD_IDS, *range(1, 101)]


def test_a_trade_that_cannot_be_used_does_not_hide_what_follows_whatever_its_id(
    polled: Polled,
) -> None:
    polled.trade(2**63 - 1, price="much")
    for number in range(5_020, 5_120):
        polled.trade(number)
    assert polled.taken == list(range(5_000, 5_120))


def test_a_wrong_id_hides_what_follows_for_a_while_at_most(polled: Polled) -> None:
    polled.trade(2**62)
    for number in range(5_020, 5_120):
        polled.trade(number)
    assert set(range(5_020, 5_120 - int(ANEW_S) - 2)) <= set(polled.taken)


def test_a_quiet_market_gives_nothing_twice(polled: Polled) -> None:
    before = list(polled.taken)
    for _ in range(100):
        polled.poll()
    assert polled.taken == before
