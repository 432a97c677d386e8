"""The feeds that the settings name."""

from flows.feeds.plan import FeedOptions, OpenFeed, plan_feeds
from flows.feeds.protocol import Limits
from flows.feeds.registry import parse_speed
from flows.settings import Settings
from schemas.feeds import FeedName


def feeds_of(settings: Settings, limits: Limits | None = None) -> dict[str, OpenFeed]:
    """Return what opens each connection of ``VOLTICK_FEED``, by name.

    Parameters
    ----------
    limits
        Of the live feeds; the usual ones if None.

    Raises
    ------
    FeedError
        The feeds, their symbols and their addresses do not fit together.
    """
    options = FeedOptions(
        symbols=settings.symbols,
        url=settings.feed_url,
        urls={
            FeedName.COINBASE_EXCHANGE: settings.coinbase_exchange_url,
            FeedName.COINBASE_ADVANCED: settings.coinbase_advanced_url,
            FeedName.BINANCE: settings.binance_url,
            FeedName.COINBASE_REST: settings.coinbase_rest_url,
            FeedName.BINANCE_REST: settings.binance_rest_url,
        },
        limits=limits,
        poll_interval_s=settings.poll_interval_s,
        simulate_rate_hz=settings.simulate_rate_hz,
        simulate_seed=settings.simulate_seed,
        simulate_from_ns=settings.history_from_ns,
        speed=parse_speed(settings.replay_speed),
        loop=settings.replay_loop,
        replay_from_s=settings.replay_from_s,
    )
    return plan_feeds(settings.feed, options)
