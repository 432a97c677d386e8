"""The venues of bars by name."""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from flows.bars import binance, coinbase
from flows.bars.venue import BarVenue
from flows.feeds.retrying import RestClient


class Addresses(Protocol):
    """Other addresses than the venues' own; None for those. The settings have them."""

    @property
    def binance_rest_url(self) -> str | None: ...  # noqa: D102
    @property
    def coinbase_rest_url(self) -> str | None: ...  # noqa: D102
    @property
    def yahoo_url(self) -> str | None: ...  # noqa: D102


def _binance(addresses: Addresses) -> BarVenue:
    url = addresses.binance_rest_url or binance.URL
    return binance.BinanceBars(RestClient(binance.NAME, url, binance.LIMITS))


def _coinbase(addresses: Addresses) -> BarVenue:
    url = addresses.coinbase_rest_url or coinbase.URL
    return coinbase.CoinbaseBars(RestClient(coinbase.NAME, url, coinbase.LIMITS))


def _yahoo(addresses: Addresses) -> BarVenue:
    from flows.bars import yahoo  # pandas is slow to import, and the other venues need none

    return yahoo.YahooBars(
        addresses.yahoo_url, yahoo.LIMITS, sleep=time.sleep, clock=time.monotonic
    )


class VenueName(StrEnum):
    """Who can be asked for bars."""

    BINANCE = binance.NAME
    COINBASE = coinbase.NAME
    YAHOO = "yahoo"


_OPENERS: Mapping[VenueName, Callable[[Addresses], BarVenue]] = {
    VenueName.BINANCE: _binance,
    VenueName.COINBASE: _coinbase,
    VenueName.YAHOO: _yahoo,
}


def open_venue(name: VenueName, addresses: Addresses) -> BarVenue:
    """Return a client of a venue; close it after use.

    Raises
    ------
    ConfigurationError
        What the venue needs is not installed.
    """
    return _OPENERS[name](addresses)
