import json
import threading
from pathlib import Path

import pytest
import structlog

from flows.errors import CaptureError, FeedError
from flows.feeds.capture import CaptureReader, CaptureWriter, Header
from flows.feeds.coinbase_exchange.client import URL
from flows.feeds.plan import FeedOptions
from flows.feeds.record import RecordingFeed, _plan, record, record_all
from flows.feeds.record import main as record_command
from flows.feeds.registry import choose, open_feed, parse_speed
from flows.feeds.replay import ReplayFeed
from flows.feeds.simulator.feed import SimulatedFeed
from flows.feeds.venues import parser_for
from flows.feeds.websocket import WebSocketFeed
from schemas.feeds import VENUES
from tests.support.venues.exchange import ExchangeConnection, ExchangeServer


def refuse(_: str) -> bool:
    pytest.fail("probed without need")


def test_auto_takes_the_live_feed_where_it_answers() -> None:
    asked: list[str] = []
    assert choose("auto", None, lambda url: not asked.append(url)) == "coinbase-exchange"
    assert choose("auto", "ws://else", lambda url: not asked.append(url)) == "coinbase-exchange"
    assert asked == [URL, "ws://else"]


def test_auto_falls_back_to_the_simulator_and_says_so_loudly() -> None:
    with structlog.testing.capture_logs() as logs:
        assert choose("auto", None, lambda _: False) == "simulate"
    [entry] = logs
    assert entry["log_level"] == "warning"
    assert "SIMULATED" in entry["event"]


def test_auto_waits_for_the_live_feed_where_ticks_outlive_the_run() -> None:
    assert choose("auto", None, refuse, may_simulate=False) == "coinbase-exchange"


@pytest.mark.parametrize("spec", ["simulate", "coinbase-exchange", "binance", "replay:x"])
def test_a_named_feed_is_not_probed(spec: str) -> None:
    assert choose(spec, None, refuse) == spec


def test_feeds_open_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    CaptureWriter(path, Header(format="frames/1", venue="binance")).close()
    replay = open_feed(f"replay:{path}", speed=None)
    assert isinstance(replay, ReplayFeed)
    assert replay.venue == "binance"
    replay.close()
    simulated = open_feed("simulate", symbols=("A-USD",), now_ns=lambda: 5)
    assert isinstance(simulated, SimulatedFeed)
    assert simulated.simulated


def test_the_live_feed_opens_at_another_address() -> None:
    def script(connection: ExchangeConnection) -> None:
        connection.hang()

    with ExchangeServer([script]) as server:
        feed = open_feed("auto", feed_url=server.url)
        try:
            assert isinstance(feed, WebSocketFeed)
            assert not feed.simulated
        finally:
            feed.close()


@pytest.mark.parametrize("spec", ["", "kraken", "Simulate", "replay"])
def test_an_unknown_feed_is_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(FeedError, match=r"known are auto, coinbase-exchange, .* and replay:"):
        open_feed(spec)


def test_a_replay_of_nothing_is_refused() -> None:
    with pytest.raises(CaptureError):
        open_feed("replay:/no/such/file")


def test_every_venue_has_a_parser_and_others_are_refused() -> None:
    assert [parser_for(venue).venue for venue in VENUES] == list(VENUES)
    with pytest.raises(FeedError, match="unknown venue 'kraken'; known are binance"):
        parser_for("kraken")


def test_speed_is_max_or_a_positive_number() -> None:
    assert parse_speed("max") is None
    assert parse_speed("2.5") == 2.5
    for text in ("", "0", "-1", "fast", "nan", "inf"):
        with pytest.raises(FeedError, match="neither `max` nor"):
            parse_speed(text)


def simulated() -> SimulatedFeed:
    return SimulatedFeed(("BTC-USD",), rate_hz=100.0, seed=1, start_ns=10**18, speed=None)


def test_a_recorded_feed_replays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.frames.ndjson.gz"
    source = RecordingFeed(simulated(), path, "a test")
    seen = [frame for _ in range(3) for frame in source.poll(50)]
    source.close()
    assert source.finished
    assert source.poll(5) == []
    with CaptureReader(path) as reader:
        assert reader.header.venue == "simulator"
        assert reader.header.note == "a test"
        assert [frame for block in reader.blocks() for frame in block] == seen


def test_the_recorder_takes_symbols_with_spaces_and_marks_connections(tmp_path: Path) -> None:
    path = tmp_path / "x.frames.ndjson.gz"
    record_command(
        path,
        feed="simulate",
        symbols=" A-USD, B-USD ,",
        feed_url=None,
        rate=1_000.0,
        duration=1.0,
        note="",
    )
    with CaptureReader(path) as reader:
        assert reader.header.marked
        texts = [frame.text for block in reader.blocks() for frame in block]
    assert {json.loads(text)["symbol"] for text in texts} == {"A-USD", "B-USD"}


def test_several_feeds_are_recorded_side_by_side_until_all_have_ended(tmp_path: Path) -> None:
    feeds = []
    for name, count in (("one", 30), ("two", 50)):
        first = RecordingFeed(simulated(), tmp_path / f"{name}.gz")
        first.poll(count)
        first.close()
        feeds.append(RecordingFeed(ReplayFeed(tmp_path / f"{name}.gz"), tmp_path / f"{name}-2.gz"))
    assert record_all(feeds, threading.Event()) == 80
    assert all(feed.finished for feed in feeds)


def test_each_of_several_feeds_gets_its_symbols_and_a_folder() -> None:
    alone = FeedOptions(symbols=["BTC-USDT"])
    assert list(_plan("binance", "ws://127.0.0.1:9", alone)) == ["binance"]
    assert list(_plan("replay:x", None, FeedOptions(symbols=["A-USD"]))) == ["replay"]
    both = FeedOptions(symbols=["BTC-USD", "binance:BTC-USDT"])
    plan = _plan("coinbase-exchange,binance", None, both)
    assert list(plan) == ["coinbase-exchange", "binance"]


@pytest.mark.parametrize(
    ("spec", "url", "interval_s", "words"),
    [
        ("coinbase-exchange,binance", "ws://127.0.0.1:9", 1.0, "one address"),
        ("simulate,replay:x", None, 1.0, "recorded alone"),
        ("coinbase-rest", None, 0.0, "no number above 0"),
    ],
    ids=["one address for two", "a replay beside", "no interval"],
)
def test_what_cannot_be_recorded_is_refused(
    spec: str, url: str | None, interval_s: float, words: str
) -> None:
    with pytest.raises(FeedError, match=words):
        _plan(spec, url, FeedOptions(symbols=["BTC-USD"], poll_interval_s=interval_s))


def test_recording_ends_with_the_feed_by_request_or_when_time_is_up(tmp_path: Path) -> None:
    first = RecordingFeed(simulated(), tmp_path / "first.gz")
    first.poll(200)
    first.close()
    replay = RecordingFeed(ReplayFeed(tmp_path / "first.gz"), tmp_path / "second.gz")
    assert record(replay, threading.Event()) == 200
    stop = threading.Event()
    stop.set()
    assert record(RecordingFeed(simulated(), tmp_path / "third.gz"), stop) == 0
    times = iter([0.0, 1.0, 2.0, 3.0])
    timed = RecordingFeed(simulated(), tmp_path / "fourth.gz")
    assert record(timed, threading.Event(), 2.5, lambda: next(times)) > 0
    assert timed.finished
