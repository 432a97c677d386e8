"""The live feed against a local venue with scripted faults."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog

from flows.errors import FeedError
from flows.feeds.base import Frame
from flows.feeds.coinbase_exchange.client import open_exchange
from flows.feeds.processor import FrameProcessor
from flows.feeds.protocol import Limits
from flows.feeds.websocket import WebSocketFeed, reachable
from schemas.ticks import Tick
from tests.support.polling import free_ports, until
from tests.support.venues.exchange import ExchangeConnection, ExchangeServer
from tests.support.venues.server import Script
from tests.unit.feeds.support import decoded

LIMITS = Limits(connect_s=5.0, silence_s=0.4, ping_s=0.1, backoff_s=0.01, backoff_cap_s=0.05)
PATIENT = Limits(connect_s=5.0, silence_s=30.0, backoff_s=0.01, backoff_cap_s=0.05)


class Listener:
    """Drains a feed through an ingest."""

    def __init__(self, feed: WebSocketFeed) -> None:
        self.feed = feed
        self.ingest = FrameProcessor.of(feed)
        self.frames: list[Frame] = []
        self.ticks: list[Tick] = []

    def poll(self) -> None:
        frames = self.feed.poll(100)
        self.frames += frames
        self.ticks += decoded(self.ingest.process(frames))

    def until(self, done: Callable[[], object]) -> None:
        def check() -> bool:
            self.poll()
            return bool(done())

        until(check, "the feed to deliver", 20.0)

    def ids(self) -> list[tuple[int | None, bool]]:
        return [(tick.trade_id, tick.gap) for tick in self.ticks]


@contextmanager
def listening(
    *scripts: Script, symbols: tuple[str, ...] = ("BTC-USD",), limits: Limits = PATIENT
) -> Iterator[tuple[ExchangeServer, Listener]]:
    with ExchangeServer(scripts) as server:
        feed = open_exchange(symbols, server.url, limits)
        try:
            yield server, Listener(feed)
        finally:
            feed.close()


def steady(connection: ExchangeConnection) -> None:
    connection.ack()
    for trade_id in (1, 2, 3):
        connection.ticker(trade_id)
    connection.hang()


def test_subscribes_to_trades_quotes_and_heartbeats_and_delivers_ticks() -> None:
    with listening(steady, symbols=("BTC-USD", "ETH-USD")) as (server, listener):
        listener.until(lambda: len(listener.ticks) == 3)
        assert server.subscriptions == [
            {
                "type": "subscribe",
                "product_ids": ["BTC-USD", "ETH-USD"],
                "channels": ["matches", "ticker", "heartbeat"],
            }
        ]
        assert listener.ids() == [(1, True), (2, False), (3, False)]
        assert all(frame.ts_recv_ns for frame in listener.frames)
        assert listener.ingest.counts.control == 1


def test_reconnects_after_a_drop_marks_the_gap_and_drops_repeats() -> None:
    def first(connection: ExchangeConnection) -> None:
        connection.ticker(1)
        connection.ticker(2)
        connection.drop()

    def second(connection: ExchangeConnection) -> None:
        connection.ack()
        for trade_id in (1, 2, 5, 6):
            connection.ticker(trade_id)
        connection.hang()

    with listening(first, second) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 4)
        assert listener.ids() == [(1, True), (2, False), (5, True), (6, False)]
        assert listener.ingest.counts.repeats == 2
        assert listener.ingest.counts.gaps == 2  # the first tick of all, and the one after the loss
        assert [frame.fresh for frame in listener.frames] == [*[False] * 3, True, *[False] * 4]


def test_a_reconnect_that_lost_nothing_is_no_gap() -> None:
    def first(connection: ExchangeConnection) -> None:
        connection.ticker(1)

    def second(connection: ExchangeConnection) -> None:
        connection.ticker(2)
        connection.hang()

    with listening(first, second) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 2)
        assert listener.ids() == [(1, True), (2, False)]


def test_a_silent_socket_is_given_up_even_if_it_answers_pings() -> None:
    def silent(connection: ExchangeConnection) -> None:
        connection.ticker(1)
        connection.hang()

    def lively(connection: ExchangeConnection) -> None:
        connection.ticker(4)
        connection.hang()

    with listening(silent, lively, limits=LIMITS) as (server, listener):
        listener.until(lambda: len(listener.ticks) >= 2)
        assert server.connections >= 2
        assert listener.ids()[:2] == [(1, True), (4, True)]


def test_heartbeats_keep_a_quiet_market_connected_and_tell_of_lost_trades() -> None:
    answered: list[bool] = []

    def quiet(connection: ExchangeConnection) -> None:
        connection.ticker(1)
        connection.heartbeat(3)
        answered.append(connection.ping())
        connection.heartbeat(3)
        connection.ticker(4)
        connection.hang()

    with listening(quiet) as (server, listener):
        listener.until(lambda: len(listener.ticks) == 2)
        assert listener.ids() == [(1, True), (4, True)]
        assert answered == [True]
        assert server.connections == 1


def test_a_cascade_that_ticker_coalesces_is_no_gap_and_matches_count_it_in_full() -> None:
    def ticker_alone(connection: ExchangeConnection) -> None:
        connection.ack()
        for trade_id in (1, 2, 6, 7):
            connection.ticker(trade_id)
        connection.hang()

    def with_matches(connection: ExchangeConnection) -> None:
        connection.ack("matches", "ticker", "heartbeat")
        connection.ticker(1)
        for trade_id in (2, 3, 4, 5, 6):
            connection.match(trade_id)
        connection.ticker(6)
        connection.match(7)
        connection.hang()

    with listening(ticker_alone) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 4)
        assert listener.ids() == [(1, True), (2, False), (6, False), (7, False)]
    with listening(with_matches) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 6)
        assert listener.ids() == [(2, True), *((each, False) for each in (3, 4, 5, 6, 7))]
        assert {(tick.side, tick.bid) for tick in listener.ticks} == {(1, 100.4)}


def test_the_trade_before_a_new_subscription_fills_in() -> None:
    def first(connection: ExchangeConnection) -> None:
        connection.ack("matches", "ticker")
        connection.match(1, kind="last_match")
        connection.match(2)

    def second(connection: ExchangeConnection) -> None:
        connection.ack("matches", "ticker")
        connection.match(3, kind="last_match")
        connection.match(4)
        connection.drop()

    def third(connection: ExchangeConnection) -> None:
        connection.match(9, kind="last_match")
        connection.match(10)
        connection.hang()

    with listening(first, second, third) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 5)
        assert listener.ids() == [(2, True), (3, False), (4, False), (9, True), (10, False)]


def test_a_refused_symbol_is_left_out_with_a_warning_and_the_others_go_on() -> None:
    def script(connection: ExchangeConnection) -> None:
        connection.refuse("NO-SUCH")
        connection.ack()
        connection.ticker(1)
        connection.hang()

    with (
        structlog.testing.capture_logs() as logs,
        listening(script, symbols=("NO-SUCH", "BTC-USD")) as (_, listener),
    ):
        listener.until(lambda: listener.ticks)
    warnings = [entry for entry in logs if entry["event"] == "symbol left out"]
    assert [entry["symbol"] for entry in warnings] == ["NO-SUCH"]


def test_refused_symbols_are_not_asked_for_again() -> None:
    def first(connection: ExchangeConnection) -> None:
        connection.refuse("NO-SUCH", "is delisted")
        connection.ticker(1)

    with listening(first, steady, symbols=("NO-SUCH", "BTC-USD")) as (server, listener):
        listener.until(lambda: len(listener.ticks) >= 3)
        assert server.subscriptions[-1]["product_ids"] == ["BTC-USD"]


def test_all_symbols_refused_is_one_clear_error() -> None:
    def script(connection: ExchangeConnection) -> None:
        connection.refuse("NO-SUCH")
        connection.refuse("NOR-THIS", "is delisted")
        connection.hang()

    with listening(script, symbols=("NO-SUCH", "NOR-THIS")) as (_, listener):
        words = "NO-SUCH is not a valid product; .*: NOR-THIS is delisted"
        with pytest.raises(FeedError, match=words):
            listener.until(lambda: False)
        assert listener.ingest.counts.control == 2


def test_an_error_that_names_no_symbol_changes_nothing() -> None:
    def script(connection: ExchangeConnection) -> None:
        connection.send({"type": "error", "message": "slow down", "reason": ""})
        connection.ticker(1)
        connection.hang()

    with listening(script) as (_, listener):
        listener.until(lambda: listener.ticks)


def test_garbage_is_dead_lettered_and_the_feed_goes_on() -> None:
    def script(connection: ExchangeConnection) -> None:
        connection.raw("not json")
        connection.raw('{"type":"ticker","product_id":"BTC-USD"}')
        connection.raw(b"\xff\xfe binary")
        connection.raw("")
        connection.ticker(1)
        connection.hang()

    with listening(script) as (_, listener):
        listener.until(lambda: listener.ticks)
        counts = listener.ingest.counts
        assert (counts.dead_frames, counts.tick_frames) == (4, 1)


def test_a_server_that_is_away_is_tried_again() -> None:
    [port] = free_ports(1)
    limits = Limits(connect_s=1.0, backoff_s=0.01, backoff_cap_s=0.02)
    with structlog.testing.capture_logs() as logs:
        feed = open_exchange(("BTC-USD",), f"ws://127.0.0.1:{port}", limits)
        until(lambda: len(logs) >= 3, "three attempts", 20.0)
        assert feed.poll(10) == []
        feed.close()
    assert {entry["event"] for entry in logs} == {"no connection yet: trying again"}


def test_a_full_queue_holds_the_reader_back_and_loses_nothing() -> None:
    def script(connection: ExchangeConnection) -> None:
        for trade_id in range(1, 51):
            connection.ticker(trade_id)
        connection.hang()

    limits = Limits(silence_s=30.0, queue_frames=5)
    with listening(script, limits=limits) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 50)
        assert listener.ingest.counts.gaps == 1  # the first tick of all
        assert listener.feed.dropped == 0


def test_what_a_full_queue_does_not_take_is_counted_and_a_gap() -> None:
    sent = threading.Event()

    def script(connection: ExchangeConnection) -> None:
        for trade_id in range(1, 51):
            connection.ticker(trade_id)
        sent.set()
        connection.hang()

    limits = Limits(silence_s=30.0, queue_frames=5, queue_wait_s=0.05)
    with (
        structlog.testing.capture_logs() as logs,
        listening(script, limits=limits) as (_, listener),
    ):
        until(lambda: listener.feed.dropped == 46, "the queue to drop", 20.0)
        listener.until(lambda: len(listener.ticks) == 4)
        assert sent.is_set()
    assert listener.ids()[0] == (1, True)
    assert [entry["event"][:18] for entry in logs].count("frames are dropped") == 1


def test_close_ends_the_thread_and_may_be_called_twice() -> None:
    with listening(steady) as (_, listener):
        listener.until(lambda: listener.ticks)
        listener.feed.close()
        listener.feed.close()
        assert listener.feed.finished
        assert not listener.feed._thread.is_alive()


def test_reachable_tells_whether_a_server_answers() -> None:
    with ExchangeServer([steady]) as server:
        assert reachable(server.url, 10.0)
    [port] = free_ports(1)
    assert not reachable(f"ws://127.0.0.1:{port}", 10.0)


def test_waits_double_less_a_random_half_until_a_connection_carries_data() -> None:
    def busy(connection: ExchangeConnection) -> None:
        connection.ack()

    def trading(connection: ExchangeConnection) -> None:
        connection.ack()
        connection.ticker(1)

    limits = Limits(silence_s=30.0, backoff_s=0.01, backoff_cap_s=0.03)
    with (
        structlog.testing.capture_logs() as logs,
        listening(busy, busy, busy, trading, steady, limits=limits) as (_, listener),
    ):
        listener.until(lambda: len(listener.ticks) == 3)
    waits = [entry["retry_in_s"] for entry in logs if entry["event"] == "connection lost"]
    for wait, longest in zip(waits, [0.01, 0.02, 0.03, 0.01], strict=True):
        assert longest / 2 <= wait <= longest


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_that_ends_by_a_defect_fails_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(_self: WebSocketFeed) -> str:
        raise RuntimeError

    monkeypatch.setattr(WebSocketFeed, "_session", defect)
    with listening(steady) as (_, listener), pytest.raises(FeedError, match="has ended"):
        listener.until(lambda: False)
