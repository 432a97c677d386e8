from typing import Any

import pytest

from flows.feeds.binance.parse import BinanceParser
from schemas.dead_letters import Reason
from tests.unit.feeds.support import frame, ticks


def trade(trade_id: int = 1, symbol: str = "BTCUSDT", **changes: Any) -> dict[str, Any]:
    made = {
        "e": "trade", "E": 1_700_000_000_001, "s": symbol, "t": trade_id, "p": "100", "q": "2",
        "T": 1_700_000_000_000, "m": True, "M": True,
    }  # fmt: skip
    return {**made, **changes}


def quote(bid: object = "99", ask: object = "101", symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"u": 1, "s": symbol, "b": bid, "B": "5", "a": ask, "A": "6"}


def combined(data: object, stream: str) -> dict[str, Any]:
    return {"stream": stream, "data": data}


def test_a_buyer_who_was_the_maker_means_that_the_taker_sold() -> None:
    made = ticks(BinanceParser(), trade(m=True), trade(m=False))
    assert [tick.side for tick in made] == [-1, 1]


def test_raw_and_combined_streams_say_the_same() -> None:
    raw = ticks(BinanceParser(), quote(), trade())
    wrapped = ticks(
        BinanceParser(),
        combined(quote(), "btcusdt@bookTicker"),
        combined(trade(), "btcusdt@trade"),
    )
    assert raw == wrapped
    assert (raw[0].bid, raw[0].ask, raw[0].bid_size, raw[0].ask_size) == (99.0, 101.0, 5.0, 6.0)


def test_the_newest_quote_of_the_same_symbol_is_joined_and_none_before_it() -> None:
    parser = BinanceParser()
    made = ticks(parser, quote("1", "2", "ETHUSDT"), trade(1), quote(), quote("98"), trade(2))
    assert [(tick.bid, tick.ask) for tick in made] == [(None, None), (98.0, 101.0)]


def test_a_crossed_quote_leaves_the_older_one() -> None:
    parser = BinanceParser()
    [tick] = ticks(parser, quote(), quote("102"), trade())
    assert (tick.bid, tick.ask) == (99.0, 101.0)
    [tick] = ticks(BinanceParser(), quote("102"), trade())
    assert (tick.bid, tick.ask) == (None, None)


def test_trades_promise_completeness() -> None:
    assert BinanceParser().parse(frame(trade())).complete


def test_an_id_of_zero_is_none_and_an_unknown_maker_no_side() -> None:
    [tick] = ticks(BinanceParser(), trade(0, m=None))
    assert (tick.trade_id, tick.side) == (None, 0)


def test_quotes_do_not_outlive_the_connection() -> None:
    parser = BinanceParser()
    ticks(parser, quote())
    parsed = parser.parse(frame(trade(), fresh=True))
    assert parsed.reconnected
    assert parsed.ticks[0].bid is None


@pytest.mark.parametrize(
    "message",
    [
        {"result": None, "id": 3},
        {"e": "aggTrade", "s": "BTCUSDT", "a": 5, "p": "1"},
        {"e": "depthUpdate", "s": "BTCUSDT", "b": [["1", "2"]], "a": []},
        {"e": "new", "b": {}},
        combined({"e": "kline"}, "btcusdt@kline_1m"),
        combined([1], "btcusdt@unheardof"),
        combined(quote(), "!bookTicker"),
        quote(),
    ],
)
def test_everything_but_trade_is_control(message: dict[str, Any]) -> None:
    parsed = BinanceParser().parse(frame(message))
    assert not parsed.ticks
    assert not parsed.dead


@pytest.mark.parametrize("message", [{"error": {"code": 2}}, {"code": 2, "msg": "no"}])
def test_an_error_answer_is_a_warning(message: dict[str, Any]) -> None:
    parsed = BinanceParser().parse(frame(message))
    assert parsed.warning is not None
    assert not parsed.dead


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", Reason.BROKEN_FRAME),
        ("[]", Reason.BROKEN_FRAME),
        ({}, Reason.BROKEN_FRAME),
        ({"stream": 5, "data": {}}, Reason.BROKEN_FRAME),
        ({"e": 5}, Reason.BROKEN_FRAME),
        (trade(p="x"), Reason.BROKEN_FRAME),
        (trade(p="inf"), Reason.BAD_PRICE),
        (trade(T=-1), Reason.BROKEN_FRAME),
        (trade(T=2**62), Reason.BROKEN_FRAME),
        (trade(t=-1), Reason.BROKEN_FRAME),
        (trade(symbol="FOOBAR"), Reason.UNKNOWN_SYMBOL),
        (combined(quote(bid=True), "btcusdt@bookTicker"), Reason.BROKEN_FRAME),
        (combined({"b": "1"}, "btcusdt@bookTicker"), Reason.BROKEN_FRAME),
        (combined("?", "btcusdt@trade"), Reason.BROKEN_FRAME),
    ],
)
def test_a_broken_frame_is_a_dead_letter(message: object, reason: Reason) -> None:
    parsed = BinanceParser().parse(frame(message))
    assert not parsed.ticks
    assert [letter.reason for letter in parsed.dead] == [reason]


def test_symbols_that_were_asked_for_are_known() -> None:
    parser = BinanceParser({"ARBUSD": "ARB-USD"})
    [tick] = ticks(parser, trade(symbol="ARBUSD"))
    assert tick.symbol == "ARB-USD"
