"""Which parser reads which venue's frames."""

from collections.abc import Callable, Iterable

from flows.errors import FeedError
from flows.feeds.base import Parser
from flows.feeds.binance.parse import VENUE as BINANCE
from flows.feeds.binance.parse import BinanceParser
from flows.feeds.coinbase_advanced.parse import VENUE as COINBASE_ADVANCED
from flows.feeds.coinbase_advanced.parse import AdvancedParser, subscribes_to_trades
from flows.feeds.coinbase_exchange.parse import VENUE as COINBASE_EXCHANGE
from flows.feeds.coinbase_exchange.parse import ExchangeParser
from flows.feeds.simulator.parse import VENUE as SIMULATOR
from flows.feeds.simulator.parse import TickParser

_PARSERS: dict[str, Callable[[], Parser]] = {
    BINANCE: BinanceParser,
    COINBASE_ADVANCED: AdvancedParser,
    COINBASE_EXCHANGE: ExchangeParser,
    SIMULATOR: TickParser,
}

VENUES = tuple(sorted(_PARSERS))


def parser_for(venue: str, opening: Iterable[str] = ()) -> Parser:
    """Return a new parser for a venue.

    Parameters
    ----------
    venue
        One of ``VENUES``.
    opening
        The first frames of a recording, where there is one to look ahead in.

    Raises
    ------
    FeedError
        Where the venue is unknown.
    """
    if venue == COINBASE_ADVANCED:
        return AdvancedParser(trades=subscribes_to_trades(opening))
    make = _PARSERS.get(venue)
    if make is None:
        message = f"unknown venue {venue!r}; known are {', '.join(VENUES)}"
        raise FeedError(message)
    return make()
