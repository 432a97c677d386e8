"""Names of venues and of feeds, as they stand in settings, recordings and ticks."""

import re
from enum import StrEnum


class Venue(StrEnum):
    """Where a tick was traded."""

    BINANCE = "binance"
    COINBASE_ADVANCED = "coinbase-advanced"
    COINBASE_EXCHANGE = "coinbase-exchange"
    SIMULATOR = "simulator"


class FeedName(StrEnum):
    """What ``VOLTICK_FEED`` can name, beside ``replay:PATH``."""

    AUTO = "auto"
    COINBASE_EXCHANGE = "coinbase-exchange"
    COINBASE_ADVANCED = "coinbase-advanced"
    BINANCE = "binance"
    COINBASE_REST = "coinbase-rest"
    BINANCE_REST = "binance-rest"
    SIMULATE = "simulate"


REPLAY_PREFIX = "replay:"
"""A feed of this prefix plays the recording that is named after it."""

VENUES = tuple(venue.value for venue in Venue)
FEEDS = tuple(feed.value for feed in FeedName)

# A comma inside a file's name does not part two feeds.
_SEPARATOR = re.compile(rf"\s*,\s*(?=(?:{'|'.join(FEEDS)})\s*(?:,|$)|{REPLAY_PREFIX})", re.I)


def split_feeds(spec: str) -> list[str]:
    """Return the feeds that ``VOLTICK_FEED`` names, known names in lower case."""
    parts = [part.strip() for part in _SEPARATOR.split(spec)]
    return [part.lower() if part.lower() in FEEDS else part for part in parts]


def written_symbol(name: str) -> str:
    """Return the symbol that feeds write into ticks for a name that ``VOLTICK_SYMBOLS`` takes."""
    _feed, symbol = split_symbol(name)
    return hyphenated(symbol)


def split_symbol(name: str) -> tuple[str | None, str]:
    """Return the one feed that a name of ``VOLTICK_SYMBOLS`` is for, and the symbol.

    The feed is None where the symbol is for all of them.
    """
    feed, colon, symbol = name.partition(":")
    if colon and feed.lower() in FEEDS:
        return feed.lower(), symbol
    return None, name


def hyphenated(symbol: str) -> str:
    """Return a symbol in capitals, its assets with a hyphen between them where it had a slash."""
    return symbol.upper().replace("/", "-")
