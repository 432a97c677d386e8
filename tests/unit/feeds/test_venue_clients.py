"""The live feeds of Coinbase Advanced Trade and Binance against local venues."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
import structlog

from flows.errors import FeedError
from flows.feeds.binance.client import BinanceProtocol, open_binance, pair_of
from flows.feeds.coinbase_advanced.client import open_advanced
from flows.feeds.processor import FrameProcessor
from flows.feeds.protocol import Limits
from flows.feeds.websocket import WebSocketFeed
from schemas.ticks import Tick
from tests.support.polling import until
from tests.support.venues.server import Refusal, Script, VenueConnection, VenueServer
from tests.unit.feeds.support import decoded

PATIENT = Limits(silence_s=30.0, answer_s=0.05, backoff_s=0.01, backoff_cap_s=0.05)
TIME = "2023-11-14T22:13:20.5Z"


class Listener:
    """Drains a feed through a processor."""

    def __init__(self, feed: WebSocketFeed) -> None:
        self.feed = feed
        self.processor = FrameProcessor.of(feed)
        self.ticks: list[Tick] = []

    def until(self, done: Callable[[], object]) -> None:
        def check() -> bool:
            self.ticks += decoded(self.processor.process(self.feed.poll(100)))
            return bool(done())

        until(check, "the feed to deliver", 20.0)

    def ids(self) -> list[tuple[str, int | None, bool]]:
        return [(tick.symbol, tick.trade_id, tick.gap) for tick in self.ticks]


@contextmanager
def listening(
    open_feed: Callable[[Sequence[str], str | None, Limits | None], WebSocketFeed],
    symbols: Sequence[str],
    *scripts: Script,
    limits: Limits = PATIENT,
) -> Iterator[tuple[VenueServer, Listener]]:
    with VenueServer(scripts) as server:
        feed = open_feed(symbols, server.url, limits)
        try:
            yield server, Listener(feed)
        finally:
            feed.close()


def envelope(channel: str, number: int, *events: object) -> dict[str, Any]:
    return {"channel": channel, "timestamp": TIME, "sequence_num": number, "events": list(events)}


def advanced_trades(number: int, *ids: int, product: str = "BTC-USD") -> dict[str, Any]:
    trades = [
        {"product_id": product, "trade_id": str(each), "price": "100", "size": "1", "time": TIME,
         "side": "SELL"}
        for each in reversed(ids)
    ]  # fmt: skip
    return envelope("market_trades", number, {"type": "update", "trades": trades})


def advanced_ticker(number: int) -> dict[str, Any]:
    entry = {"product_id": "BTC-USD", "price": "100", "best_bid": "99", "best_ask": "101"}
    return envelope("ticker", number, {"type": "update", "tickers": [entry]})


def subscribed(connection: VenueConnection) -> list[dict[str, Any]]:
    """Return the subscriptions to the three channels."""
    return [connection.receive() for _ in range(3)]


def test_advanced_subscribes_channel_by_channel_and_joins_trades_with_quotes() -> None:
    asked: list[dict[str, Any]] = []

    def script(connection: VenueConnection) -> None:
        asked.extend(subscribed(connection))
        ack = {"subscriptions": {"market_trades": ["BTC-USD"], "ticker": ["BTC-USD"]}}
        connection.send(
            advanced_trades(0, 4, 5), envelope("subscriptions", 1, ack), advanced_ticker(2),
            envelope("heartbeats", 3, {"heartbeat_counter": 1}), advanced_trades(4, 6),
        )  # fmt: skip
        connection.hang()

    with listening(open_advanced, ["BTC/USD"], script) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 3)
    assert [(each["type"], each["channel"], each["product_ids"]) for each in asked] == [
        ("subscribe", channel, ["BTC-USD"]) for channel in ("heartbeats", "ticker", "market_trades")
    ]
    assert listener.ids() == [
        ("BTC-USD", 4, True), ("BTC-USD", 5, False), ("BTC-USD", 6, False),
    ]  # fmt: skip
    assert [(tick.side, tick.bid) for tick in listener.ticks] == [(1, None), (1, None), (1, 99.0)]


def test_advanced_repeats_after_a_reconnect_are_dropped_and_a_loss_is_a_gap() -> None:
    def first(connection: VenueConnection) -> None:
        subscribed(connection)
        connection.send(advanced_trades(0, 1, 2))
        connection.drop()

    def second(connection: VenueConnection) -> None:
        subscribed(connection)
        connection.send(advanced_trades(0, 1, 2, 3), advanced_trades(1, 4))
        connection.close(1012, "restart")

    def third(connection: VenueConnection) -> None:
        subscribed(connection)
        connection.send(advanced_trades(0, 9, 10))
        connection.hang()

    with listening(open_advanced, ["BTC-USD"], first, second, third) as (server, listener):
        listener.until(lambda: len(listener.ticks) == 6)
        assert server.connections == 3
    marks = [True, False, False, False, True, False]
    ids = [1, 2, 3, 4, 9, 10]
    assert listener.ids() == [("BTC-USD", *each) for each in zip(ids, marks, strict=True)]
    assert listener.processor.counts.repeats == 2


def test_advanced_leaves_a_refused_symbol_out_and_asks_again_for_the_others() -> None:
    later: list[dict[str, Any]] = []

    def script(connection: VenueConnection) -> None:
        subscribed(connection)
        connection.send({"type": "error", "message": "NO-SUCH is not a valid product"})
        later.extend(subscribed(connection))
        connection.send(advanced_trades(0, 1))
        connection.hang()

    with (
        structlog.testing.capture_logs() as logs,
        listening(open_advanced, ["NO-SUCH", "BTC-USD"], script) as (_, listener),
    ):
        listener.until(lambda: listener.ticks)
    assert {tuple(each["product_ids"]) for each in later} == {("BTC-USD",)}
    assert [entry["symbol"] for entry in logs if entry["event"] == "symbol left out"] == ["NO-SUCH"]


def binance_trade(trade_id: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    data = {"e": "trade", "E": 1_700_000_000_001, "s": symbol, "t": trade_id, "p": "100", "q": "2",
            "T": 1_700_000_000_000, "m": True}  # fmt: skip
    return {"stream": f"{symbol.lower()}@trade", "data": data}


QUOTE = {
    "stream": "btcusdt@bookTicker",
    "data": {"u": 1, "s": "BTCUSDT", "b": "99", "B": "5", "a": "101", "A": "6"},
}


def test_binance_names_the_streams_in_address_and_message_and_joins_quotes() -> None:
    asked: list[object] = []

    def script(connection: VenueConnection) -> None:
        asked.extend([connection.path, connection.receive()])
        connection.send({"result": None, "id": 1}, QUOTE, binance_trade(7), binance_trade(8))
        connection.send(binance_trade(3, "ARBUSD"), binance_trade(10))
        connection.hang()

    with listening(open_binance, ["BTC-USDT", "ARB/USD"], script) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 4)
    streams = ["btcusdt@trade", "btcusdt@bookTicker", "arbusd@trade", "arbusd@bookTicker"]
    assert asked == [
        f"/stream?streams={'/'.join(streams)}",
        {"method": "SUBSCRIBE", "params": streams, "id": 1},
    ]
    assert sorted(listener.ids()) == [
        ("ARB-USD", 3, True), ("BTC-USDT", 7, True), ("BTC-USDT", 8, False), ("BTC-USDT", 10, True),
    ]  # fmt: skip
    assert {tick.bid for tick in listener.ticks if tick.symbol == "BTC-USDT"} == {99.0}


def test_what_binance_sends_after_a_shutdown_message_is_taken_until_it_says_goodbye() -> None:
    def first(connection: VenueConnection) -> None:
        connection.receive()
        shutdown = {"e": "serverShutdown", "E": 1_700_000_000_000}
        trades = [binance_trade(number) for number in range(2, 40)]
        # In one write: the server's library sends nothing more once the client says goodbye.
        connection.burst(json.dumps(each) for each in (binance_trade(1), shutdown, *trades))
        connection.hang()

    def second(connection: VenueConnection) -> None:
        connection.receive()
        connection.send(binance_trade(40))
        connection.hang()

    with listening(open_binance, ["BTC-USDT"], first, second) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 40)
    assert [trade_id for _symbol, trade_id, _gap in listener.ids()] == list(range(1, 41))
    assert [gap for _symbol, _id, gap in listener.ids()] == [True] + [False] * 39


@pytest.mark.parametrize("cut", ["shutdown message", "after a day", "dropped"])
def test_binance_comes_back_after_an_ordinary_cut(cut: str) -> None:
    def first(connection: VenueConnection) -> None:
        connection.receive()
        connection.send(binance_trade(1), binance_trade(2))
        if cut == "shutdown message":
            connection.send({"e": "serverShutdown", "E": 1_700_000_000_000})
            connection.hang()
        elif cut == "after a day":
            connection.close(1000)
        else:
            connection.drop()

    def second(connection: VenueConnection) -> None:
        connection.receive()
        connection.send(binance_trade(3), binance_trade(5))
        connection.hang()

    with listening(open_binance, ["BTC-USDT"], first, second) as (_, listener):
        listener.until(lambda: len(listener.ticks) == 4)
    assert [each[1:] for each in listener.ids()] == [(1, True), (2, False), (3, False), (5, True)]


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "answers pings alone"])
def test_binance_is_alive_in_a_quiet_market_as_long_as_it_answers_questions(answers: bool) -> None:
    questions: list[object] = []

    def quiet(connection: VenueConnection) -> None:
        connection.receive()
        connection.send(binance_trade(1))
        while answers:
            request = connection.receive()
            questions.append(request)
            assert request["method"] == "LIST_SUBSCRIPTIONS"
            connection.send({"result": ["btcusdt@trade"], "id": request["id"]})
        connection.hang()

    limits = Limits(silence_s=2.0, ping_s=0.5, backoff_s=0.01, backoff_cap_s=0.02)
    with listening(open_binance, ["BTC-USDT"], quiet, limits=limits) as (server, listener):
        listener.until(lambda: len(questions) > 2 if answers else server.connections > 1)
        assert (server.connections == 1) is answers


def test_many_binance_symbols_are_subscribed_to_in_parts() -> None:
    symbols = [f"A{number}-USDT" for number in range(512)]
    protocol = BinanceProtocol(symbols)
    requests = protocol.requests(symbols)
    assert len(requests) == 6
    assert sum(request.count("@") for request in requests) == 1_024
    assert len(protocol.address("wss://venue", symbols)) < 4_000
    assert protocol.address("wss://venue/ws", symbols) == "wss://venue/ws"
    assert protocol.address("wss://venue", ()) == "wss://venue/stream"


def test_binance_symbols_are_normalised_or_refused_by_name() -> None:
    assert [pair_of(each) for each in ("BTC-USDT", "btc/usdt", "BTCUSDT")] == ["BTC-USDT"] * 3
    with pytest.raises(FeedError, match="'ARBUSD' has no separator"):
        pair_of("ARBUSD")
    with pytest.raises(FeedError, match="takes 512 symbols a connection, not 513"):
        open_binance([f"A{number}-USDT" for number in range(513)])


def test_an_address_whose_streams_are_refused_is_tried_without_them() -> None:
    paths: list[str] = []

    def script(connection: VenueConnection) -> None:
        paths.append(connection.path)
        connection.receive()
        connection.send(binance_trade(1))
        connection.hang()

    refusals = [Refusal(429, {"Retry-After": "0"}), Refusal(400)]
    with VenueServer([script], refusals) as server:
        feed = open_binance(["BTC-USDT"], server.url, PATIENT)
        try:
            listener = Listener(feed)
            listener.until(lambda: listener.ticks)
        finally:
            feed.close()
    assert paths == ["/stream"]


def test_no_more_connections_are_made_in_a_minute_than_the_limit() -> None:
    limits = Limits(backoff_s=0.001, backoff_cap_s=0.002, connections_per_min=3)

    def short(connection: VenueConnection) -> None:
        connection.receive()
        connection.send(binance_trade(1))

    with (
        structlog.testing.capture_logs() as logs,
        listening(open_binance, ["BTC-USDT"], short, limits=limits) as (server, _),
    ):
        until(lambda: [each for each in logs if "next attempt" in each["event"]], "the limit", 20.0)
        assert server.attempts == 3


def test_a_symbol_of_other_letters_is_subscribed_to_beside_others() -> None:
    asked: list[tuple[str, list[str]]] = []

    def script(connection: VenueConnection) -> None:
        asked.append((connection.path, connection.receive()["params"]))
        connection.send(
            {"result": None, "id": 1}, binance_trade(1), binance_trade(5, "币安人生USDT")
        )
        connection.hang()

    symbols = ["BTC-USDT", "币安人生-USDT"]
    with listening(open_binance, symbols, script, limits=PATIENT) as (_server, listener):
        listener.until(lambda: len(listener.ticks) == 2)
    [(path, params)] = asked
    assert path.isascii()
    assert unquote(path).partition("streams=")[2].split("/") == params
    assert [each.symbol for each in listener.ticks] == symbols
    protocol = BinanceProtocol(symbols)
    assert protocol.refused("Invalid stream 币安人生usdt@trade", symbols) == ["币安人生-USDT"]
