"""The parser of each venue's frames."""

from collections.abc import Callable, Iterable

from flows.errors import FeedError
from flows.feeds.base import Parser
from flows.feeds.binance.parse import BinanceParser
from flows.feeds.coinbase_advanced.parse import AdvancedParser, subscribes_to_trades
from flows.feeds.coinbase_exchange.parse import ExchangeParser
from flows.feeds.rest.messages import is_polled
from flows.feeds.rest.parse import RestParser
from flows.feeds.rest.registry import DIALECTS
from flows.feeds.simulator.parse import TickParser
from schemas.feeds import VENUES, Venue

_PARSERS: dict[str, Callable[[], Parser]] = {
    Venue.BINANCE: BinanceParser,
    Venue.SIMULATOR: TickParser,
}


def parser_for(venue: str, opening: Iterable[str] = (), *, marked: bool = True) -> Parser:
    """Return a new parser for a venue.

    Parameters
    ----------
    venue
        One of :class:`schemas.feeds.Venue`.
    opening
        The first frames of a recording; empty for a live feed.
    marked
        False for a recording that does not mark where a new connection begins.

    Raises
    ------
    FeedError
        The venue is unknown.
    """
    opening = list(opening)
    if venue in DIALECTS and is_polled(opening):
        return RestParser(DIALECTS[venue]())
    if venue == Venue.COINBASE_ADVANCED:
        return AdvancedParser(trades=subscribes_to_trades(opening), marked=marked)
    if venue == Venue.COINBASE_EXCHANGE:
        return ExchangeParser(marked=marked)
    make = _PARSERS.get(venue)
    if make is None:
        message = f"unknown venue {venue!r}; known are {', '.join(VENUES)}"
        raise FeedError(message)
    return make()
