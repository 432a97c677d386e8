"""The feeds that the settings name."""

from flows.feeds.plan import FeedOptions, OpenFeed, plan_feeds
from flows.feeds.protocol import Limits
from flows.feeds.registry import parse_speed
from flows.numeric.time import NS_PER_S
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
        simulate_from_ns=simulate_from_ns(settings),
        speed=parse_speed(settings.replay_speed),
        loop=settings.replay_loop,
        replay_from_s=settings.replay_from_s,
    )
    return plan_feeds(settings.feed, options)


def simulate_from_ns(settings: Settings) -> int | None:
    """Return the event time at which the simulator's history begins; None where it has none."""
    if settings.live_from_ns is None:
        return None
    return settings.live_from_ns - settings.simulate_history_s * NS_PER_S
