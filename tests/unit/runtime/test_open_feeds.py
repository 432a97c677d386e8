"""The figures of open feeds: what the venue refuses is counted, however it is asked."""

from collections.abc import Callable

from flows.feeds.base import Feed
from flows.feeds.coinbase_advanced.client import open_advanced
from flows.feeds.rest.registry import open_coinbase_rest
from flows.feeds.simulator.feed import SimulatedFeed
from flows.runtime.open_feeds import OpenFeeds
from tests.support.polling import until
from tests.support.rest_venues import Coinbase
from tests.support.venues.server import VenueConnection, VenueServer

SYMBOLS = ["NO-SUCH", "BTC-USD"]


def refused_of(open_feed: Callable[[], Feed]) -> int | None:
    feeds = OpenFeeds()
    feed = feeds.open("venue", open_feed)
    try:
        until(lambda: feeds.figures()[0].refused != 0, "the refusal")
        return feeds.figures()[0].refused
    finally:
        feed.close()


def refuse(connection: VenueConnection) -> None:
    connection.receive()
    connection.send({"type": "error", "message": "NO-SUCH is not a valid product"})
    connection.hang()


def test_a_refused_subscription_counts() -> None:
    with VenueServer([refuse]) as server:
        assert refused_of(lambda: open_advanced(SYMBOLS, server.url)) == 1


def test_a_refused_request_counts() -> None:
    with Coinbase() as venue:
        venue.trade("BTC-USD", 1)
        assert refused_of(lambda: open_coinbase_rest(SYMBOLS, venue.url, 0.02)) == 1


def test_a_feed_that_asks_nobody_has_no_such_number() -> None:
    made = SimulatedFeed(SYMBOLS, rate_hz=1.0, seed=1, start_ns=0)
    assert refused_of(lambda: made) is None
