"""Yahoo's bars through yfinance itself, whose requests go to a local server."""

import builtins
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from flows.bars.bar import Bar
from flows.bars.span import Span
from flows.bars.yahoo import YahooBars
from flows.errors import ConfigurationError, VenueError
from flows.feeds.retrying import Limits
from flows.numeric.time import NS_PER_MINUTE, NS_PER_MS
from tests.support import bar_servers
from tests.support.rest_server import Reply, RestServer

MINUTE = NS_PER_MINUTE
FIRST_MS = 1_769_904_000_000
FIRST_NS = FIRST_MS * NS_PER_MS
BARS = bar_servers.market(FIRST_MS, 30, without=(3,))
SPAN = Span(FIRST_NS, FIRST_NS + 20 * MINUTE)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep yfinance's memory of time zones out of the user's folder; it opens it once a process."""
    if find_spec("yfinance") is not None:
        import yfinance

        yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("yfinance")))


@contextmanager
def yahoo_of(kind: str = "CRYPTOCURRENCY") -> Iterator[tuple[YahooBars, RestServer]]:
    pytest.importorskip("yfinance", reason="the extra yahoo is not installed")
    known = bar_servers.Market({"BTC-USD": BARS, "NONE": []})
    with RestServer(bar_servers.yahoo(known, kind)) as server:
        limits = Limits(attempts=3, first_wait_s=0.0, timeout_s=20.0)
        venue = YahooBars(server.url, limits, sleep=lambda _s: None, clock=time.monotonic)
        with closing(venue):
            yield venue, server


def test_bars_of_a_cryptocurrency_come_with_their_quote_volume() -> None:
    with yahoo_of() as (venue, server):
        page = venue.fetch("BTC-USD", "1m", SPAN)
    assert page.refused == []
    assert page.bars == [
        Bar(
            ts_open_ns=bar.open_ms * NS_PER_MS,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            quote_volume=float(int(bar.quote_volume)),
        )
        for bar in BARS
        if bar.open_ms * NS_PER_MS < SPAN.to_ns
    ]
    [asked] = [request for request in server.requests if "period1" in request.params]
    assert asked.params["interval"] == "1m"
    assert int(asked.params["period1"]) * 1000 == FIRST_MS


def test_bars_of_a_share_come_with_their_volume() -> None:
    with yahoo_of("EQUITY") as (venue, _server):
        page = venue.fetch("BTC-USD", "1m", SPAN)
    assert page.bars[0].volume == float(int(BARS[0].quote_volume))
    assert page.bars[0].quote_volume is None


def test_a_span_without_bars_is_an_empty_page() -> None:
    with yahoo_of() as (venue, _server):
        page = venue.fetch("NONE", "1m", SPAN)
    assert (page.bars, page.refused) == ([], [])


def test_an_unknown_symbol_is_refused_by_name() -> None:
    with yahoo_of() as (venue, _server), pytest.raises(VenueError, match="yahoo refuses NOPE"):
        venue.fetch("NOPE", "1m", SPAN)


def test_limits_and_outages_are_asked_again_and_then_told() -> None:
    with yahoo_of() as (venue, server):
        honest = server.answer
        bad = [Reply(b"Too Many Requests", 429)] * 12
        server.answer = lambda request: bad.pop() if bad else honest(request)
        assert len(venue.fetch("BTC-USD", "1m", SPAN).bars) == 19
        server.answer = lambda _request: Reply(b"<html>down</html>", 503)
        with pytest.raises(VenueError, match="given up after 3 attempts"):
            venue.fetch("BTC-USD", "1m", SPAN)


def test_yfinance_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("yfinance"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match="--venue yahoo needs the extra yahoo"):
        YahooBars(None, Limits(), sleep=time.sleep, clock=time.monotonic)
