"""The venues that can be polled."""

from collections.abc import Callable, Mapping, Sequence

from flows.feeds.binance.client import pair_of
from flows.feeds.binance.rest import BinanceRest
from flows.feeds.coinbase_exchange.client import product_of
from flows.feeds.coinbase_exchange.rest import ExchangeRest
from flows.feeds.rest.dialect import Dialect
from flows.feeds.rest.feed import INTERVAL_S, RestFeed
from schemas.feeds import Venue

DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    Venue.COINBASE_EXCHANGE: ExchangeRest,
    Venue.BINANCE: BinanceRest,
}


def open_coinbase_rest(
    symbols: Sequence[str], url: str | None = None, interval_s: float = INTERVAL_S
) -> RestFeed:
    """Poll Coinbase Exchange, or another address that speaks its protocol."""
    products = list(dict.fromkeys(product_of(symbol) for symbol in symbols))
    dialect = ExchangeRest()
    return RestFeed(dialect, products, url or dialect.url, interval_s=interval_s)


def open_binance_rest(
    symbols: Sequence[str], url: str | None = None, interval_s: float = INTERVAL_S
) -> RestFeed:
    """Poll Binance, or another address that speaks its protocol.

    Raises
    ------
    FeedError
        The assets of a symbol without a separator are not certain.
    """
    pairs = list(dict.fromkeys(pair_of(symbol) for symbol in symbols))
    dialect = BinanceRest()
    return RestFeed(dialect, pairs, url or dialect.url, interval_s=interval_s)
