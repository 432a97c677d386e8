"""Which feeds a run opens, and what each is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from flows.errors import FeedError
from flows.feeds.base import Feed
from flows.feeds.binance.client import MAX_SYMBOLS
from flows.feeds.protocol import Limits
from flows.feeds.registry import LIVE, POLLED, open_feed
from schemas.feeds import FeedName, split_feeds, split_symbol

OpenFeed = Callable[[], Feed]


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What the settings say of feeds; see their descriptions.

    Attributes
    ----------
    symbols
        ``BTC-USD`` for every feed, ``binance:BTC-USDT`` for one; a feed with symbols of its own
        does not get the common ones.
    url
        Address of the live feed, where one is named.
    urls
        Address by name of a live feed.
    limits
        Of the live feeds; the usual ones if None.
    """

    symbols: Sequence[str]
    url: str | None = None
    urls: Mapping[str, str | None] = field(default_factory=dict)
    limits: Limits | None = None
    poll_interval_s: float = 1.0
    simulate_rate_hz: float = 50.0
    simulate_seed: int = 7
    simulate_from_ns: int | None = None
    speed: float | None = 1.0
    loop: bool = False
    replay_from_s: float = 0.0


def plan_feeds(spec: str, options: FeedOptions) -> dict[str, OpenFeed]:
    """Return what opens each connection, by a name that tells them apart.

    Parameters
    ----------
    spec
        ``VOLTICK_FEED``: one or several, comma-separated.

    Raises
    ------
    FeedError
        A feed has no symbols, symbols are for a feed that is not named, or one address is given
        for several feeds.
    """
    names = [_live_name(name) for name in split_feeds(spec)]
    common, own = split_symbols(options.symbols)
    foreign = sorted(set(own) - set(names))
    if foreign:
        message = (
            f"symbols for {foreign[0]} are given, but VOLTICK_FEED={spec} does not name that feed"
        )
        raise FeedError(message)
    live = [name for name in names if name in LIVE]
    if options.url is not None and not live and set(names) & set(POLLED):
        polled = next(name for name in names if name in POLLED)
        message = (
            f"VOLTICK_FEED_URL is a WebSocket address, and {polled} needs none; set"
            f" {url_variable(polled)} instead"
        )
        raise FeedError(message)
    if options.url is not None and len(live) > 1:
        message = (
            f"VOLTICK_FEED_URL is one address, and {len(live)} live feeds are named; set"
            f" {url_variable(live[0])} and the like instead"
        )
        raise FeedError(message)
    plan: dict[str, OpenFeed] = {}
    for name in names:
        url = options.urls.get(name) or (options.url if name in LIVE else None)
        parts = _connections(name, own.get(name, common))
        for number, symbols in enumerate(parts, 1):
            plan[name if number == 1 else f"{name}-{number}"] = partial(
                open_feed,
                name,
                symbols=symbols,
                feed_url=url,
                limits=options.limits,
                simulate_rate_hz=options.simulate_rate_hz,
                simulate_seed=options.simulate_seed,
                simulate_from_ns=options.simulate_from_ns,
                speed=options.speed,
                loop=options.loop,
                poll_interval_s=options.poll_interval_s,
                replay_from_s=options.replay_from_s,
            )
    return plan


def split_symbols(symbols: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the symbols for every feed, and those of single feeds by its name."""
    common: list[str] = []
    own: dict[str, list[str]] = {}
    for symbol in symbols:
        feed, name = split_symbol(symbol)
        if feed is None:
            common.append(name)
        else:
            own.setdefault(_live_name(feed), []).append(name)
    return common, own


def url_variable(feed: str) -> str:
    """Return the name of the setting with a live feed's address."""
    return f"VOLTICK_{feed.upper().replace('-', '_')}_URL"


def _live_name(name: str) -> str:
    return FeedName.COINBASE_EXCHANGE.value if name == FeedName.AUTO else name


def _connections(name: str, symbols: Sequence[str]) -> list[Sequence[str]]:
    """Return the symbols of each connection: several where one does not take them all."""
    if name not in LIVE and name not in POLLED:
        return [symbols]
    if not symbols:
        message = f"no symbol for {name}: name some as {name}:BTC-USD in VOLTICK_SYMBOLS"
        raise FeedError(message)
    limit = MAX_SYMBOLS if name == FeedName.BINANCE else len(symbols)
    return [symbols[start : start + limit] for start in range(0, len(symbols), limit)]
