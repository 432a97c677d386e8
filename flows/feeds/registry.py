"""Open feeds by name."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from flows.errors import FeedError
from flows.feeds.base import Feed
from flows.feeds.binance.client import open_binance
from flows.feeds.coinbase_advanced.client import open_advanced
from flows.feeds.coinbase_exchange.client import URL, open_exchange
from flows.feeds.protocol import Limits
from flows.feeds.replay import ReplayFeed
from flows.feeds.rest.registry import open_binance_rest, open_coinbase_rest
from flows.feeds.simulator.feed import SimulatedFeed
from flows.feeds.websocket import WebSocketFeed, reachable
from schemas.feeds import FEEDS, REPLAY_PREFIX, FeedName

LIVE: Mapping[str, Callable[[Sequence[str], str | None, Limits | None], WebSocketFeed]] = {
    FeedName.COINBASE_EXCHANGE: open_exchange,
    FeedName.COINBASE_ADVANCED: open_advanced,
    FeedName.BINANCE: open_binance,
}

POLLED: Mapping[str, Callable[[Sequence[str], str | None, float], Feed]] = {
    FeedName.COINBASE_REST: open_coinbase_rest,
    FeedName.BINANCE_REST: open_binance_rest,
}


def choose(
    spec: str,
    feed_url: str | None,
    probe: Callable[[str], bool] = reachable,
    *,
    may_simulate: bool = True,
) -> str:
    """Return the feed that ``auto`` means here and now; any other name as it is.

    Parameters
    ----------
    spec
        One of :class:`schemas.feeds.FeedName` or ``replay:PATH``.
    feed_url
        Address of the live feed, None for the venue's own.
    probe
        Returns whether an address answers.
    may_simulate
        Whether the simulator may take the place of a live feed that does not answer: only where
        the ticks end with this run. Otherwise the live feed is waited for.
    """
    if spec != FeedName.AUTO:
        return spec
    if not may_simulate:
        return FeedName.COINBASE_EXCHANGE
    url = feed_url or URL
    if probe(url):
        return FeedName.COINBASE_EXCHANGE
    structlog.get_logger().warning(
        "the live feed cannot be reached: scoring a SIMULATED market instead", url=url
    )
    return FeedName.SIMULATE


def parse_speed(speed: str) -> float | None:
    """Return a replay's speed-up, None for ``max``.

    Raises
    ------
    FeedError
        It is neither ``max`` nor a number above 0.
    """
    if speed == "max":
        return None
    try:
        value = float(speed)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        message = f"speed {speed!r} is neither `max` nor a number above 0"
        raise FeedError(message)
    return value


def open_feed(
    spec: str,
    *,
    symbols: Sequence[str] = ("BTC-USD", "ETH-USD"),
    feed_url: str | None = None,
    limits: Limits | None = None,
    simulate_rate_hz: float = 50.0,
    simulate_seed: int = 7,
    speed: float | None = 1.0,
    loop: bool = False,
    replay_from_s: float = 0.0,
    simulate_from_ns: int | None = None,
    duration_s: float | None = None,
    poll_interval_s: float = 1.0,
    now_ns: Callable[[], int] = time.time_ns,
) -> Feed:
    """Open a feed by name.

    Parameters
    ----------
    spec
        One of :class:`schemas.feeds.FeedName` or ``replay:PATH``; ``auto`` is the live feed of
        Coinbase Exchange.
    symbols
        Symbols of a live or simulated feed.
    feed_url
        Another address of the live feed.
    limits
        Of a live feed; the usual ones if None.
    simulate_rate_hz, simulate_seed
        Of the simulator: ticks per second for all symbols, and its seed.
    speed
        Of a replay or the simulator: event time against the clock; None: as fast as possible.
    loop
        Of a replay: start over at the end.
    replay_from_s
        Of a replay: send so many seconds of it at full speed first.
    simulate_from_ns
        Event time at which the simulator's history begins; None for none.
    duration_s
        Of a replay or the simulator: end after this many seconds.
    poll_interval_s
        Of a feed that polls: time between two rounds of a symbol.
    now_ns
        Where the simulator's live ticks begin, nanoseconds since the UNIX epoch.

    Raises
    ------
    FeedError
        The name is unknown, or the simulator cannot do what is asked.
    CaptureError
        The recording cannot be read.
    """
    chosen = choose(spec, feed_url, may_simulate=False)
    if chosen.startswith(REPLAY_PREFIX):
        path = Path(chosen.removeprefix(REPLAY_PREFIX))
        return ReplayFeed(path, speed=speed, loop=loop, from_s=replay_from_s, duration_s=duration_s)
    if chosen in LIVE:
        return LIVE[chosen](symbols, feed_url, limits)
    if chosen in POLLED:
        return POLLED[chosen](symbols, feed_url, poll_interval_s)
    if chosen == FeedName.SIMULATE:
        opened_ns = now_ns()
        return SimulatedFeed(
            symbols,
            rate_hz=simulate_rate_hz,
            seed=simulate_seed,
            start_ns=opened_ns if simulate_from_ns is None else simulate_from_ns,
            opened_ns=opened_ns,
            speed=speed,
            duration_s=duration_s,
        )
    message = f"unknown feed {spec!r}; known are {', '.join(FEEDS)} and {REPLAY_PREFIX}PATH"
    raise FeedError(message)
