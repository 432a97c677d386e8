"""What a venue does not say is null, on any venue; the trade lives."""

from typing import Any

import msgspec
import pytest

from flows.feeds.processor import FrameProcessor
from flows.feeds.quotes import stated_quote
from flows.feeds.venues import parser_for
from schemas.feeds import Venue
from schemas.ticks import Tick
from tests.unit.feeds.support import decoded, frame

MISSING = object()
HUGE, MINUS_HUGE = msgspec.Raw(b"1e999"), msgspec.Raw(b"-1e999")
NOTHING = [
    *(MISSING, None, "", " ", "0", 0, "0.00", "null", "NaN", "inf", "-Infinity", "-1", -1, "-"),
    *("1_000", "1,5", "0x10", "\u0661", "1e999", HUGE, MINUS_HUGE),
]
NAMES = [
    "missing", "null", "empty", "blank", "zero text", "zero", "zero decimals", "null text", "nan",
    "infinite", "minus infinite", "negative text", "negative", "dash",
    "underscore", "decimal comma", "hexadecimal", "arabic digit", "beyond float64 as text",
    "beyond float64", "below float64",
]  # fmt: skip
TIME = "2023-11-14T22:13:20.5Z"


def changed(message: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return the message with one field replaced, or without it."""
    rest = {key: old for key, old in message.items() if key != name}
    return rest if value is MISSING else {**rest, name: value}


def advanced(channel: str, events: dict[str, Any]) -> dict[str, Any]:
    return {"channel": channel, "timestamp": TIME, "sequence_num": 0, "events": [events]}


def exchange_ticker(name: str, value: object) -> list[object]:
    names = {"bid": "best_bid", "ask": "best_ask", "bid_size": "best_bid_size",
             "ask_size": "best_ask_size", "size": "last_size"}  # fmt: skip
    message = {
        "type": "ticker", "product_id": "A-B", "price": "10", "time": TIME, "trade_id": 5,
        "best_bid": "9", "best_bid_size": "1", "best_ask": "11", "best_ask_size": "2",
        "last_size": "3", "side": "buy",
    }  # fmt: skip
    return [changed(message, names[name], value)]


def exchange_match(name: str, value: object) -> list[object]:
    match = {"type": "match", "product_id": "A-B", "price": "10", "time": TIME, "trade_id": 5,
             "size": "3", "side": "sell"}  # fmt: skip
    ack = {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["A-B"]}]}
    if name == "size":
        return [ack, *exchange_ticker("bid", "9"), changed(match, "size", value)]
    return [ack, *exchange_ticker(name, value), match]


def advanced_ticker(name: str, value: object) -> list[object]:
    names = {"bid": "best_bid", "ask": "best_ask", "bid_size": "best_bid_quantity",
             "ask_size": "best_ask_quantity"}  # fmt: skip
    entry = {"product_id": "A-B", "price": "10", "best_bid": "9", "best_bid_quantity": "1",
             "best_ask": "11", "best_ask_quantity": "2"}  # fmt: skip
    return [advanced("ticker", {"tickers": [changed(entry, names[name], value)]})]


def advanced_trade(name: str, value: object) -> list[object]:
    trade = {"product_id": "A-B", "trade_id": "5", "price": "10", "size": "3", "time": TIME,
             "side": "SELL"}  # fmt: skip
    ack = advanced("subscriptions", {"subscriptions": {"market_trades": ["A-B"]}})
    if name == "size":
        made = advanced("market_trades", {"trades": [changed(trade, "size", value)]})
        return [ack, *advanced_ticker("bid", "9"), made]
    return [ack, *advanced_ticker(name, value), advanced("market_trades", {"trades": [trade]})]


def binance_trade(name: str, value: object) -> list[object]:
    names = {"bid": "b", "ask": "a", "bid_size": "B", "ask_size": "A"}
    quote = {"u": 1, "s": "BTCUSDT", "b": "9", "B": "1", "a": "11", "A": "2"}
    trade = {"e": "trade", "E": 1_700_000_000_501, "s": "BTCUSDT", "t": 5, "p": "10", "q": "3",
             "T": 1_700_000_000_500, "m": False}  # fmt: skip
    if name == "size":
        return [quote, changed(trade, "q", value)]
    return [changed(quote, names[name], value), trade]


def simulator_tick(name: str, value: object) -> list[object]:
    message = {
        "symbol": "A-B", "venue": "simulator", "ts_event_ns": 1_700_000_000_500_000_000,
        "price": 10.0, "size": 3.0, "bid": 9.0, "ask": 11.0, "bid_size": 1.0, "ask_size": 2.0,
        "trade_id": 5,
    }  # fmt: skip
    return [changed(message, name, value)]


SOURCES = {
    "exchange ticker": (Venue.COINBASE_EXCHANGE, exchange_ticker),
    "exchange match": (Venue.COINBASE_EXCHANGE, exchange_match),
    "advanced ticker": (Venue.COINBASE_ADVANCED, advanced_ticker),
    "advanced trade": (Venue.COINBASE_ADVANCED, advanced_trade),
    "binance trade": (Venue.BINANCE, binance_trade),
    "simulator tick": (Venue.SIMULATOR, simulator_tick),
}
WITHOUT_SIZE = ("advanced ticker", "size")
FULL = {"size": 3.0, "bid": 9.0, "ask": 11.0, "bid_size": 1.0, "ask_size": 2.0}


def tick_of(source: str, name: str, value: object) -> Tick:
    venue, make = SOURCES[source]
    processor = FrameProcessor(parser_for(venue))
    texts = [msgspec.json.encode(each).decode() for each in make(name, value)]
    messages = processor.process([frame(text) for text in texts])
    assert not messages.dead
    [tick] = decoded(messages)
    return tick


def stated(tick: Tick) -> dict[str, float | None]:
    return {name: getattr(tick, name) for name in FULL}


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_said_is_kept(source: str) -> None:
    expected = FULL if source != "advanced ticker" else {**FULL, "size": None}
    assert stated(tick_of(source, "bid", "9" if source != "simulator tick" else 9.0)) == expected


@pytest.mark.parametrize(
    ("source", "name"),
    # The ticker of Advanced Trade has no size of the trade.
    [(each, name) for each in SOURCES for name in FULL if (each, name) != WITHOUT_SIZE],
)
@pytest.mark.parametrize("value", NOTHING, ids=NAMES)
def test_what_is_not_said_is_null_and_the_trade_lives(
    source: str, name: str, value: object
) -> None:
    tick = tick_of(source, name, value)
    gone = {name, f"{name}_size"}  # a side without a price has no quantity either
    expected = {each: None if each in gone else full for each, full in FULL.items()}
    if source == "advanced ticker":
        expected["size"] = None
    assert stated(tick) == expected
    assert tick.price == 10.0


@pytest.mark.parametrize("value", ["+9", "9.", " 9 ", "009", "9e0", ".9e1", "9\n"])
@pytest.mark.parametrize("name", ["bid", "size"])
@pytest.mark.parametrize("source", [each for each in SOURCES if each != "advanced ticker"])
def test_a_number_written_in_an_unusual_way_is_kept(source: str, name: str, value: str) -> None:
    assert stated(tick_of(source, name, value)) == {**FULL, name: 9.0}


@pytest.mark.parametrize("value", [" 12345678901234567 ", "+12345678901234567"])
def test_an_id_written_in_an_unusual_way_keeps_all_digits(value: str) -> None:
    *before, trade = binance_trade("size", "3")
    assert isinstance(trade, dict)
    messages = FrameProcessor(parser_for(Venue.BINANCE)).process(
        [frame(each) for each in (*before, changed(trade, "t", value))]
    )
    [tick] = decoded(messages)
    assert tick.trade_id == 12345678901234567


@pytest.mark.parametrize(
    "value", [MISSING, None, "", "UNKNOWN"], ids=["missing", "null", "empty", "word"]
)
@pytest.mark.parametrize("source", ["exchange ticker", "exchange match", "advanced trade"])
def test_a_side_that_is_not_said_leaves_the_trade(source: str, value: object) -> None:
    venue, make = SOURCES[source]
    *before, last = make("bid", "9")
    assert isinstance(last, dict)
    if source == "advanced trade":
        (event,) = last["events"]
        last["events"] = [{"trades": [changed(each, "side", value) for each in event["trades"]]}]
    else:
        last = changed(last, "side", value)
    messages = FrameProcessor(parser_for(venue)).process([frame(each) for each in (*before, last)])
    assert not messages.dead
    [tick] = decoded(messages)
    assert (tick.price, tick.side) == (10.0, 0)


def test_a_ticker_before_the_first_trade_is_of_quotes_alone() -> None:
    """It names neither a trade nor a time; the next trade has its quotes."""
    [ticker] = exchange_ticker("bid", "9")
    assert isinstance(ticker, dict)
    alone = {name: ticker[name] for name in ticker if name not in ("time", "trade_id", "last_size")}
    match = exchange_match("bid", "9")[-1]
    messages = FrameProcessor(parser_for(Venue.COINBASE_EXCHANGE)).process(
        [frame(alone), frame(match)]
    )
    assert not messages.dead
    [tick] = decoded(messages)
    assert (tick.trade_id, tick.bid, tick.ask) == (5, 9.0, 11.0)


@pytest.mark.parametrize("source", SOURCES)
def test_a_quote_that_is_crossed_is_none_and_the_trade_lives(source: str) -> None:
    tick = tick_of(source, "bid", "12" if source != "simulator tick" else 12.0)
    assert (tick.bid, tick.ask, tick.bid_size, tick.ask_size) == (None,) * 4


def test_a_crossed_quote_is_none_and_a_locked_one_a_quote() -> None:
    assert stated_quote(10.1, 10.0, 1.0, 2.0) is None
    assert stated_quote(10.0, 10.0, 1.0, 2.0) == (10.0, 10.0, 1.0, 2.0)
