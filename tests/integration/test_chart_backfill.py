"""What ingest leaves in Redis for the chart of a live feed."""

import threading
import time

import msgspec

from flows.runtime.chart_backfill import start_chart_backfill
from flows.settings import Settings
from schemas import topics
from schemas.backfill import Backfill
from tests.support import bar_servers
from tests.support.polling import until
from tests.support.rest_server import RestServer


def test_the_bars_of_a_live_feeds_last_hour_are_in_redis_until_the_chart_needs_none(
    valkey, database
):
    minute_ms = int(time.time()) // 60 * 60_000
    bars = bar_servers.market(minute_ms - 90 * 60_000, 92)
    stop = threading.Event()
    key = topics.backfill_key("BTC-USD")
    markets = bar_servers.Market({"BTC-USD": bars, "ETH-USD": bars})
    before = database.info("stats")["total_connections_received"]
    with RestServer(bar_servers.coinbase(markets)) as server:
        start_chart_backfill(
            Settings(
                feed="coinbase-exchange",
                symbols="BTC-USD,ETH-USD",
                redis_url=valkey.url,
                coinbase_rest_url=server.url,
            ),
            stop,
        )
        keys = key, topics.backfill_key("ETH-USD")
        until(lambda: database.exists(*keys) == 2, "the bars of both")
    stop.set()
    assert database.info("stats")["total_connections_received"] == before + 1
    found = msgspec.json.decode(database.get(key), type=Backfill)
    assert found.venue == "coinbase-exchange"
    first_ms = found.bars[0].ts_open_ns // 1_000_000
    [expected] = [bar for bar in bars if bar.open_ms == first_ms]
    assert found.bars[0].close == expected.close
    # The running minute is left out, and the one before it while it may still change.
    assert len(found.bars) in (59, 60)
    assert 3_600 < database.ttl(key) <= 7_200
