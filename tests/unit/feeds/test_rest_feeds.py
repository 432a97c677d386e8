"""The polling feeds against local venues that speak the REST protocols."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from flows.errors import FeedError
from flows.feeds import http as rest_http
from flows.feeds.capture import FORMAT, CaptureWriter, Header
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from flows.feeds.rest import budget
from flows.feeds.rest import feed as rest_feed
from flows.feeds.rest import market as rest_market
from flows.feeds.rest.feed import RestFeed
from flows.feeds.rest.registry import open_binance_rest, open_coinbase_rest
from schemas.dead_letters import DeadLetter
from schemas.ticks import Tick
from tests.support.polling import until
from tests.support.rest_venues import Binance, Coinbase, Fault, RestVenue
from tests.unit.feeds.support import decoded, letters

QUICK_S = 0.02
Open = Callable[[RestVenue, list[str]], RestFeed]


def coinbase(venue: RestVenue, symbols: list[str]) -> RestFeed:
    return open_coinbase_rest(symbols, venue.url, QUICK_S)


def binance(venue: RestVenue, symbols: list[str]) -> RestFeed:
    return open_binance_rest(symbols, venue.url, QUICK_S)


OPENS = {"BTC-USD": coinbase, "BTC-USDT": binance}


class Listener:
    """Drains a feed through a processor."""

    def __init__(self, feed: RestFeed) -> None:
        self.feed = feed
        self.processor = FrameProcessor.of(feed)
        self.ticks: list[Tick] = []
        self.dead: list[DeadLetter] = []

    def drain(self) -> None:
        messages = self.processor.process(self.feed.poll(100))
        self.ticks += decoded(messages)
        self.dead += letters(messages)

    def until(self, done: Callable[[], object]) -> None:
        def check() -> bool:
            self.drain()
            return bool(done())

        until(check, "the feed to deliver", 30.0)

    def until_id(self, trade_id: int) -> None:
        self.until(lambda: self.ticks and self.ticks[-1].trade_id == trade_id)

    def ids(self) -> list[int | None]:
        return [tick.trade_id for tick in self.ticks]

    def gaps(self) -> list[int | None]:
        return [tick.trade_id for tick in self.ticks if tick.gap]


@contextmanager
def listening(venue: RestVenue, *symbols: str) -> Iterator[Listener]:
    opens = binance if isinstance(venue, Binance) else coinbase
    feed = opens(venue, list(symbols))
    feed._budget._per_s = 1e6
    try:
        yield Listener(feed)
    finally:
        feed.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        budget, "wait_s", lambda _failures, asked_s: 0.05 if asked_s is None else asked_s
    )


def test_coinbase_trades_are_joined_with_the_quotes_before_them() -> None:
    with Coinbase() as venue:
        venue.trade("BTC-USD", 1, 3)
        with listening(venue, "BTC/USD") as listener:
            listener.until_id(3)
            venue.quoted["BTC-USD"] = (98.0, 102.0)
            listener.until(lambda: listener.processor.counts.frames > 12)
            venue.trade("BTC-USD", 4)
            listener.until_id(4)
    assert listener.ids() == [1, 2, 3, 4]
    assert listener.gaps() == [1]
    first, last = listener.ticks[0], listener.ticks[-1]
    assert (first.symbol, first.venue, first.price) == ("BTC-USD", "coinbase-exchange", 101.0)
    assert (first.size, first.side) == (0.5, -1)  # the maker bought
    assert (first.bid, first.ask, first.bid_size) == (99.0, 101.0, None)
    assert (last.bid, last.ask) == (98.0, 102.0)
    assert first.ts_event_ns == 1_700_000_000_100_000_000


def test_binance_trades_are_joined_with_the_quotes_before_them() -> None:
    with Binance() as venue:
        venue.trade("BTCUSDT", 1, 3)
        with listening(venue, "BTC-USDT") as listener:
            listener.until_id(3)
    assert listener.gaps() == [1]
    first, second = listener.ticks[:2]
    assert (first.symbol, first.venue, first.price) == ("BTC-USDT", "binance", 101.0)
    assert (first.size, first.side, second.side) == (2.0, -1, 1)
    assert (first.bid, first.ask, first.bid_size, first.ask_size) == (99.0, 101.0, 5.0, 6.0)


@pytest.mark.parametrize("venue", [Coinbase(), Binance()], ids=["coinbase", "binance"])
def test_a_burst_beyond_one_page_is_read_page_by_page(venue: RestVenue) -> None:
    symbol, name = ("BTC-USDT", "BTCUSDT") if isinstance(venue, Binance) else ("BTC-USD",) * 2
    with venue:
        venue.trade(name, 1)
        with listening(venue, symbol) as listener:
            listener.until_id(1)
            venue.trade(name, 2, 4_321)
            listener.until_id(4_322)
            venue.trade(name, 4_323)
            listener.until_id(4_323)
    assert listener.ids() == list(range(1, 4_324))
    assert listener.gaps() == [1]


def test_what_the_venue_does_not_give_is_one_gap() -> None:
    with Binance() as venue:
        venue.without_history = True
        venue.trade("BTCUSDT", 1)
        with listening(venue, "BTC-USDT") as listener:
            listener.until_id(1)
            venue.trade("BTCUSDT", 2, 2_000)
            listener.until_id(2_001)
    assert listener.gaps() == [1, listener.ids()[1]]
    assert len(listener.ids()) < 1_002


def test_where_the_venue_has_no_list_of_trades_the_newest_ones_are_read() -> None:
    with Coinbase() as venue, structlog.testing.capture_logs() as logs:
        venue.without_trades = True
        venue.trade("BTC-USD", 1)
        with listening(venue, "BTC-USD") as listener:
            listener.until_id(1)
            venue.trade("BTC-USD", 2)
            listener.until_id(2)
            venue.trade("BTC-USD", 3, 2)
            listener.until_id(4)
    assert (listener.ids(), listener.gaps()) == ([1, 2, 4], [1, 4])
    assert listener.ticks[0].side == 0
    assert listener.ticks[0].bid == 99.0
    assert sum("no list of trades" in entry["event"] for entry in logs) == 1


FAULTS = {
    "too many requests": Fault(429, {"Retry-After": "0"}),
    "ban": Fault(418, {"Retry-After": "0"}),
    "no time named": Fault(429),
    "server error": Fault(500, body="oops"),
    "away": Fault(503, {"Retry-After": "0"}, body="<html>maintenance</html>"),
    "truncated": Fault(cut=40),
    "dropped": Fault(drop=True),
    "redirect in a circle": Fault(302, {"Location": "/products/BTC-USD/trades"}),
    "forbidden": Fault(451, body="{}"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_trouble_is_waited_out_and_loses_nothing(fault: Fault) -> None:
    troubled = [False]
    with Coinbase(lambda _n, path: fault if troubled[0] and "trades" in path else None) as venue:
        venue.trade("BTC-USD", 1, 5)
        with listening(venue, "BTC-USD") as listener:
            listener.until_id(5)
            troubled[0] = True
            asked = len(venue.asked)
            until(lambda: len(venue.asked) > asked + 4, "some failures")
            venue.trade("BTC-USD", 6, 3)
            troubled[0] = False
            listener.until_id(8)
    assert (listener.ids(), listener.gaps()) == (list(range(1, 9)), [1])
    assert listener.dead == []


@pytest.mark.parametrize("body", ["<html>", '{"message": "x"}', "[1", ""], ids=list("abcd"))
def test_a_good_status_with_another_body_is_a_dead_letter_and_waited_out(body: str) -> None:
    def meddle(number: int, _path: str) -> Fault | None:
        return Fault(body=body) if number == 3 else None

    with Coinbase(meddle) as venue:
        venue.trade("BTC-USD", 1, 5)
        with listening(venue, "BTC-USD") as listener:
            listener.until(lambda: listener.dead)
            venue.trade("BTC-USD", 6)
            listener.until_id(6)
    assert listener.ids() == [1, 2, 3, 4, 5, 6]
    assert [letter.reason for letter in listener.dead] == ["broken_frame"]


def test_a_stalled_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_http, "READ_S", 0.2)
    with Coinbase(lambda n, _path: Fault(stall_s=30.0) if n == 3 else None) as venue:
        venue.trade("BTC-USD", 1)
        with listening(venue, "BTC-USD") as listener:
            listener.until_id(1)
            until(lambda: len(venue.asked) >= 3, "the stall")
            venue.trade("BTC-USD", 2)
            listener.until_id(2)
    assert listener.gaps() == [1]


def test_a_broken_trade_is_one_dead_letter_and_a_gap_and_its_neighbours_live() -> None:
    with Binance() as venue:
        venue.trade("BTCUSDT", 1, 2)
        venue._trades["BTCUSDT"].append({"id": 3, "price": "cheap", "time": 5})
        venue.trade("BTCUSDT", 4, 2)
        with listening(venue, "BTC-USDT") as listener:
            listener.until_id(5)
            frames = listener.processor.counts.frames
            listener.until(lambda: listener.processor.counts.frames > frames + 6)
    assert (listener.ids(), listener.gaps()) == ([1, 2, 4, 5], [1, 4])
    assert len(listener.dead) == 1
    assert json.loads(listener.dead[0].payload)["id"] == 3


@pytest.mark.parametrize("venue", [Coinbase(), Binance()], ids=["coinbase", "binance"])
def test_a_refused_symbol_is_named_and_the_others_go_on(venue: RestVenue) -> None:
    known, other, name = (
        ("BTC-USDT", "XYZ-USDT", "BTCUSDT")
        if isinstance(venue, Binance)
        else ("BTC-USD", "XYZ-USD", "BTC-USD")
    )
    with venue, structlog.testing.capture_logs() as logs:
        venue.trade(name, 1)
        with listening(venue, other, known) as listener:
            listener.until_id(1)
            named = [entry for entry in logs if entry["event"] == "symbol left out"]
            until(lambda: any(entry["event"] == "symbol left out" for entry in logs), "the name")
            named = [entry for entry in logs if entry["event"] == "symbol left out"]
            venue.trade(name, 2)
            listener.until_id(2)
    assert [entry["symbol"] for entry in named] == [other]
    assert named[0]["reason"] in ("NotFound", "Invalid symbol.")


def test_a_venue_that_refuses_every_symbol_ends_the_feed() -> None:
    with (
        Coinbase() as venue,
        listening(venue, "A-USD", "B-USD") as listener,
        pytest.raises(FeedError, match=r"refuses every symbol asked for \(NotFound\)"),
    ):
        listener.until(lambda: False)


def test_retry_after_holds_every_symbol() -> None:
    hit_s = [0.0]

    def meddle(number: int, _path: str) -> Fault | None:
        if number != 8:
            return None
        hit_s[0] = time.monotonic()
        return Fault(429, {"Retry-After": "0.6"})

    with Coinbase(meddle) as venue:
        venue.trade("A-USD", 1)
        venue.trade("B-USD", 1)
        with listening(venue, "A-USD", "B-USD") as listener:
            until(lambda: len(venue.asked) >= 8, "the limit")
            until(lambda: len(venue.asked) >= 12, "going on")
            assert time.monotonic() - hit_s[0] >= 0.6
            listener.drain()


def test_a_full_queue_stops_the_asking_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_feed, "QUEUE_FRAMES", 3)
    with Coinbase() as venue:
        venue.trade("BTC-USD", 1, 2)
        with listening(venue, "BTC-USD") as listener:
            until(lambda: listener.feed.queued == 3, "a full queue")
            listener.feed._stop.wait(0.1)
            asked = len(venue.asked)
            listener.feed._stop.wait(0.2)
            assert len(venue.asked) <= asked + 1
            venue.trade("BTC-USD", 3, 4)
            listener.until_id(6)
    assert (listener.ids(), listener.gaps()) == ([1, 2, 3, 4, 5, 6], [1])


def test_at_the_start_trades_are_not_older_than_the_catch_up() -> None:
    with Coinbase() as venue:
        venue.trade("BTC-USD", 1, 1_000)  # 100 s of them
        with listening(venue, "BTC-USD") as listener:
            listener.until_id(1_000)
    oldest = 1_000 - rest_market.CATCH_UP_S * 10
    assert listener.ids() == list(range(int(oldest) + 1, 1_001))


def test_after_a_long_outage_what_is_too_old_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    with Coinbase() as venue:
        venue.trade("BTC-USD", 1)
        with listening(venue, "BTC-USD") as listener:
            listener.until_id(1)
            monkeypatch.setattr(rest_market, "CATCH_UP_S", 0.0)
            venue.trade("BTC-USD", 2, 30)
            listener.until_id(31)
    assert listener.gaps()[0] == 1
    assert listener.ids()[-1] == 31


@pytest.mark.parametrize("skew_s", [5.0, -5.0], ids=["behind", "ahead"])
def test_the_venues_date_shows_how_wrong_the_clock_is(skew_s: float) -> None:
    with Coinbase() as venue, structlog.testing.capture_logs() as logs:
        venue.clock_skew_s = skew_s
        venue.trade("BTC-USD", 1)
        with listening(venue, "BTC-USD") as listener:
            listener.until(lambda: any("clock" in entry["event"] for entry in logs))
    [offset_s] = [e["clock_offset_s"] for e in logs if "clock" in e["event"]][:1]
    assert offset_s == pytest.approx(-skew_s, abs=1.0)


def test_a_recording_replays_to_the_same_ticks(tmp_path: Path) -> None:
    frames = []
    with Binance() as venue:
        venue.trade("BTCUSDT", 1, 4)
        with listening(venue, "BTC-USDT") as listener:
            processor = listener.processor
            ticks: list[Tick] = []
            while len(ticks) < 5:
                found = listener.feed.poll(10)
                frames += found
                ticks += decoded(processor.process(found))
                if len(ticks) == 4 and len(venue.known("BTCUSDT") or ()) == 4:
                    venue.trade("BTCUSDT", 5)
    path = tmp_path / "x.frames.ndjson.gz"
    with CaptureWriter(path, Header(format=FORMAT, venue="binance", marked=True)) as writer:
        for frame in frames:
            writer.write(frame)
    replay = ReplayFeed(path)
    again = FrameProcessor(replay.parser(), live=True, marked=replay.marked)
    assert decoded(again.process(replay.poll(10_000))) == ticks
    replay.close()


def test_closing_does_not_wait_for_an_answer() -> None:
    with Coinbase(lambda _n, _path: Fault(stall_s=30.0)) as venue:
        feed = open_coinbase_rest(["BTC-USD"], venue.url)
        until(lambda: venue.asked, "a request")
        started_s = time.monotonic()
        feed.close()
        assert time.monotonic() - started_s < 4.0
