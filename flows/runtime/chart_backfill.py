"""Give a live feed's charts a past: the minute bars that the venue's REST has of the last hour.

They go to Redis alone, marked as backfill: no tick, no feature and no model comes from them.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from flows.errors import FeedError, VenueError, VoltickError
from flows.feeds.plan import split_symbols
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from flows.settings import Settings
from schemas.backfill import Backfill, BackfillBar
from schemas.feeds import FeedName, Venue, split_feeds

if TYPE_CHECKING:
    from flows.bars.venue import BarVenue

PAST_S: Final = 3_600
MAX_SYMBOLS: Final = 50
"""Of each venue; one takes a request, and venues limit those."""

# The minutes around the start are final then.
_AGAIN_S = 120.0
_INTERVAL = "1m"
_REFUSED: Final = (400, 404)

Put = Callable[[Backfill], None]


@dataclass(frozen=True, slots=True)
class Market:
    """One symbol of a live feed; ``bars`` names the venue as :mod:`flows.bars.venues` does."""

    bars: str
    venue: Venue
    symbol: str


def start_chart_backfill(settings: Settings, stop: threading.Event) -> None:
    """Ask the venues in a thread: once at once, and once more when the first minutes are over.

    What fails is logged once and costs the chart its past, nothing else.
    """
    url = settings.redis_url
    markets = markets_of(settings)
    if url is None or not markets:
        return

    def run() -> None:
        # Here, not above: neither clients of REST nor Redis' are needed for the first tick.
        from flows.connectors.redis.backfill import put_backfill
        from flows.connectors.redis.writer import connect

        def fill_all() -> bool:
            with connect(url.get_secret_value()) as client:
                return fill(settings, markets, partial(put_backfill, client))

        if fill_all() and not stop.wait(_AGAIN_S):
            fill_all()

    threading.Thread(target=run, name="chart-backfill", daemon=True).start()


def markets_of(settings: Settings) -> list[Market]:
    """Return the markets whose past the charts may show; none where that is turned off."""
    if not settings.chart_backfill:
        return []
    common, own = split_symbols(settings.symbols)
    sources = _sources(settings)
    found = []
    for name in split_feeds(settings.feed):
        feed = FeedName.COINBASE_EXCHANGE.value if name == FeedName.AUTO else name
        known = sources.get(feed)
        if known is None:
            continue
        bars, venue, is_elsewhere, rest_url = known
        if is_elsewhere and rest_url is None:
            continue
        found += [Market(bars, venue, each) for each in own.get(feed, common)[:MAX_SYMBOLS]]
    return found


def _sources(settings: Settings) -> Mapping[str, tuple[str, Venue, bool, str | None]]:
    """Return by feed: who has bars, the venue of its ticks, whether it is asked elsewhere, REST."""
    coinbase, binance = settings.coinbase_rest_url, settings.binance_rest_url
    exchange_url = settings.coinbase_exchange_url or settings.feed_url
    advanced_url = settings.coinbase_advanced_url or settings.feed_url
    binance_url = settings.binance_url or settings.feed_url
    exchange, advanced = Venue.COINBASE_EXCHANGE, Venue.COINBASE_ADVANCED
    return {
        FeedName.COINBASE_EXCHANGE: ("coinbase", exchange, exchange_url is not None, coinbase),
        FeedName.COINBASE_ADVANCED: ("coinbase", advanced, advanced_url is not None, coinbase),
        FeedName.COINBASE_REST: ("coinbase", exchange, False, coinbase),
        FeedName.BINANCE: ("binance", Venue.BINANCE, binance_url is not None, binance),
        FeedName.BINANCE_REST: ("binance", Venue.BINANCE, False, binance),
    }


def fill(
    settings: Settings,
    markets: Sequence[Market],
    put: Put,
    now_ns: Callable[[], int] = time.time_ns,
) -> bool:
    """Ask for each market's last hour and put it; return whether any came.

    A symbol that a venue refuses is left out, as by its feed. A venue that does not answer ends it:
    each of its symbols would be waited for.

    Parameters
    ----------
    put
        Writes one symbol's bars; a ``redis.RedisError`` is a failure like a venue's.
    now_ns
        Nanoseconds since the UNIX epoch.
    """
    from redis import RedisError

    from flows.bars.venues import VenueName, open_venue

    count = 0
    refused: dict[str, str] = {}
    opened: dict[str, BarVenue] = {}
    try:
        for market in markets:
            if market.bars not in opened:
                opened[market.bars] = open_venue(VenueName(market.bars), settings)
            try:
                found = last_hour(opened[market.bars], market, now_ns())
            except FeedError as error:
                if not _is_refusal(error):
                    raise
                refused[market.symbol] = str(error)
                continue
            count += len(found.bars)
            put(found)
    except (VoltickError, RedisError, OSError) as error:
        structlog.get_logger().warning(
            "the chart begins with the first tick: the venue's bars of the hour before cannot be"
            " had; VOLTICK_CHART_BACKFILL=false asks for none",
            cause=str(error),
        )
        return False
    finally:
        for venue in opened.values():
            venue.close()
    if refused:
        structlog.get_logger().warning(
            "these charts begin with their first tick: the venue refuses them", **refused
        )
    symbols = len(markets) - len(refused)
    structlog.get_logger().debug("the chart has a past", symbols=symbols, bars=count)
    return symbols > 0


def _is_refusal(error: FeedError) -> bool:
    """Tell whether a symbol is none of the venue's, and not the venue away."""
    return not isinstance(error, VenueError) or error.status in _REFUSED


def last_hour(venue: "BarVenue", market: Market, now_ns: int) -> Backfill:
    """Return the minute bars of the last hour that can no longer change.

    Raises
    ------
    VoltickError
        The symbol is none of the venue's, or the venue does not answer it.
    """
    from flows.bars.bar import sort_out
    from flows.bars.span import Span

    to_ns = now_ns // NS_PER_MINUTE * NS_PER_MINUTE
    span = Span(to_ns - PAST_S * NS_PER_S, to_ns)
    symbol = venue.symbol(market.symbol)
    page = venue.fetch(symbol, _INTERVAL, span)
    final_ns = now_ns - venue.settle_s * NS_PER_S
    final = sort_out(page, span, final_ns, NS_PER_MINUTE).bars
    bars = msgspec.convert(final, list[BackfillBar], from_attributes=True)
    interval_s = NS_PER_MINUTE // NS_PER_S
    return Backfill(symbol=symbol, venue=market.venue.value, interval_s=interval_s, bars=bars)
