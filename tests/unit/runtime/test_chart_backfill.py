"""The past of a live feed's charts: whom it is asked of, what comes, and what a failure costs."""

import pytest
import structlog

from flows.numeric.time import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from flows.runtime.chart_backfill import Market, fill, markets_of
from flows.settings import Settings
from schemas.feeds import Venue
from tests.support import bar_servers
from tests.support.rest_server import Reply, RestServer

NOW_NS = 1_770_000_000 * NS_PER_S + 17 * NS_PER_S
MINUTE_NS = NOW_NS // NS_PER_MINUTE * NS_PER_MINUTE
# Two hours of bars, and the minute that is still running.
BARS = bar_servers.market(MINUTE_NS // NS_PER_MS - 120 * 60_000, 121)
COINBASE, BINANCE = Venue.COINBASE_EXCHANGE, Venue.BINANCE
SERVERS = {"coinbase": bar_servers.coinbase, "binance": bar_servers.binance}


def symbols_of(**changes):
    return [(each.bars, each.venue, each.symbol) for each in markets_of(Settings(**changes))]


def test_every_live_venue_is_asked_for_its_own_symbols():
    found = symbols_of(
        feed="coinbase-advanced,binance,simulate", symbols="BTC-USD,binance:BTC-USDT"
    )
    assert found == [
        ("coinbase", Venue.COINBASE_ADVANCED, "BTC-USD"),
        ("binance", BINANCE, "BTC-USDT"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"feed": "simulate"},
        {"feed": "replay:capture.jsonl"},
        {"feed": "coinbase-exchange", "chart_backfill": False},
        {"feed": "coinbase-exchange", "feed_url": "ws://127.0.0.1:1"},
        {"feed": "binance", "binance_url": "ws://127.0.0.1:1"},
    ],
    ids=["simulated", "recorded", "turned off", "elsewhere", "elsewhere by its own setting"],
)
def test_nobody_is_asked(changes):
    assert symbols_of(**changes) == []


def test_a_feed_elsewhere_is_asked_for_where_its_rest_is_named():
    settings = {"feed_url": "ws://127.0.0.1:1", "coinbase_rest_url": "http://127.0.0.1:1"}
    assert len(symbols_of(feed="coinbase-exchange", symbols="BTC-USD", **settings)) == 1


@pytest.mark.parametrize("name", ["coinbase", "binance"])
def test_the_last_hours_final_minutes_come(name):
    symbol, key = ("BTC-USD", "BTC-USD") if name == "coinbase" else ("BTC-USDT", "BTCUSDT")
    market = Market(name, COINBASE if name == "coinbase" else BINANCE, symbol)
    with RestServer(SERVERS[name](bar_servers.Market({key: BARS}))) as server:
        settings = Settings(**{f"{name}_rest_url": server.url})
        found = []
        assert fill(settings, [market], found.append, lambda: NOW_NS)
    [backfill] = found
    assert (backfill.symbol, backfill.venue, backfill.interval_s) == (symbol, market.venue, 60)
    # At 17 s past the minute Coinbase, which settles for 30 s, may still change the last one.
    expected = BARS[60:119] if name == "coinbase" else BARS[60:120]
    assert [
        (bar.ts_open_ns // NS_PER_MS, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in backfill.bars
    ] == [(bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in expected]


def test_a_venue_that_refuses_is_one_line_of_the_log():
    markets = [Market("coinbase", COINBASE, symbol) for symbol in ("BTC-USD", "ETH-USD")]
    with (
        RestServer(lambda _request: Reply(b'{"message":"not from here"}', 451)) as server,
        structlog.testing.capture_logs() as logs,
    ):
        assert not fill(Settings(coinbase_rest_url=server.url), markets, pytest.fail)
        assert len(server.requests) == 1
    assert [log["log_level"] for log in logs] == ["warning"]
    assert "VOLTICK_CHART_BACKFILL" in logs[0]["event"]


@pytest.mark.parametrize("name", ["coinbase", "binance"])
def test_a_symbol_that_the_venue_refuses_costs_the_others_nothing(name):
    known, key = ("BTC-USD", "BTC-USD") if name == "coinbase" else ("BTC-USDT", "BTCUSDT")
    strange = ["ARBUSD"] if name == "binance" else []  # a pair that can be read in two ways
    names = ["NO-SUCHCOIN", *strange, known]
    markets = [Market(name, COINBASE if name == "coinbase" else BINANCE, each) for each in names]
    with (
        RestServer(SERVERS[name](bar_servers.Market({key: BARS}))) as server,
        structlog.testing.capture_logs() as logs,
    ):
        settings = Settings(**{f"{name}_rest_url": server.url})
        found = []
        assert fill(settings, markets, found.append, lambda: NOW_NS)
        assert not fill(settings, markets[:1], pytest.fail, lambda: NOW_NS)
    assert [each.symbol for each in found] == [known]
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert [set(log) & set(names) for log in warnings] == [set(names[:-1]), {"NO-SUCHCOIN"}]
