import pytest

from flows.feeds.coinbase_exchange.parse import ExchangeParser
from schemas.dead_letters import Reason
from tests.unit.feeds.support import frame, ticks

TICKER = {
    "type": "ticker",
    "sequence": 5,
    "product_id": "BTC-USD",
    "price": "100.5",
    "best_bid": "100.4",
    "best_bid_size": "1",
    "best_ask": "100.6",
    "best_ask_size": "2",
    "side": "buy",
    "time": "2023-11-14T22:13:20.5Z",
    "trade_id": 9,
    "last_size": "0.1",
}


def test_the_takers_side_is_taken_as_it_is() -> None:
    sides = [{**TICKER, "side": side} for side in ("buy", "sell", "")]
    assert [tick.side for tick in ticks(ExchangeParser(), *sides)] == [1, -1, 0]


def test_what_the_venue_does_not_say_is_null() -> None:
    bare = {name: TICKER[name] for name in ("type", "product_id", "price", "time")}
    [tick] = ticks(ExchangeParser(), bare)
    assert (tick.size, tick.bid, tick.ask, tick.bid_size, tick.ask_size) == (None,) * 5
    assert (tick.trade_id, tick.sequence, tick.side, tick.gap) == (None, None, 0, False)


def test_prices_out_of_range_are_left_to_the_consumer() -> None:
    made = ticks(ExchangeParser(), {**TICKER, "price": "-1"}, {**TICKER, "best_bid": "999"})
    assert [(tick.price, tick.bid) for tick in made] == [(-1.0, 100.4), (100.5, 999.0)]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "match", "price": "1"},
        {"type": "last_match"},
        {"type": "subscriptions", "channels": []},
        {"type": "snapshot", "bids": [], "asks": []},
        {"type": "l2update", "changes": []},
        {"type": "heartbeat", "product_id": "BTC-USD"},
        {"type": "something new", "price": []},
    ],
)
def test_everything_but_ticker_is_control(message: dict[str, object]) -> None:
    parsed = ExchangeParser().parse(frame(message))
    assert not parsed.ticks
    assert not parsed.dead
    assert parsed.warning is None


def test_an_error_message_is_a_warning() -> None:
    message = {"type": "error", "message": "Failed to subscribe", "reason": "X is delisted"}
    parsed = ExchangeParser().parse(frame(message))
    assert parsed.warning == "coinbase-exchange: Failed to subscribe: X is delisted"
    assert not parsed.dead


def test_a_heartbeat_tells_the_newest_trade() -> None:
    message = {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": 12}
    assert ExchangeParser().parse(frame(message)).last_trade == ("BTC-USD", 12)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", Reason.BROKEN_FRAME),
        ("{", Reason.BROKEN_FRAME),
        pytest.param("\ud800", Reason.BROKEN_FRAME, id="a lone surrogate"),
        ("null", Reason.BROKEN_FRAME),
        ("[1]", Reason.BROKEN_FRAME),
        ({}, Reason.BROKEN_FRAME),
        ({"type": 5}, Reason.BROKEN_FRAME),
        ({**TICKER, "price": None}, Reason.BROKEN_FRAME),
        ({**TICKER, "price": "abc"}, Reason.BROKEN_FRAME),
        ({**TICKER, "price": True}, Reason.BROKEN_FRAME),
        ({**TICKER, "price": "Infinity"}, Reason.BAD_PRICE),
        ({**TICKER, "best_ask_size": "nan"}, Reason.BAD_PRICE),
        ({**TICKER, "time": "today"}, Reason.BROKEN_FRAME),
        ({**TICKER, "time": None}, Reason.BROKEN_FRAME),
        ({**TICKER, "trade_id": -1}, Reason.BROKEN_FRAME),
        ({**TICKER, "trade_id": 2**63}, Reason.BROKEN_FRAME),
        ({**TICKER, "trade_id": 1.5}, Reason.BROKEN_FRAME),
        ({**TICKER, "product_id": ""}, Reason.BROKEN_FRAME),
        ({**TICKER, "product_id": "X" * 65}, Reason.BROKEN_FRAME),
        ({name: TICKER[name] for name in ("type", "product_id", "time")}, Reason.BROKEN_FRAME),
    ],
)
def test_a_broken_frame_is_a_dead_letter(message: object, reason: Reason) -> None:
    parsed = ExchangeParser().parse(frame(message))
    assert not parsed.ticks
    assert [(letter.reason, letter.venue) for letter in parsed.dead] == [
        (reason, "coinbase-exchange")
    ]


def test_the_first_frame_of_a_new_connection_says_so() -> None:
    parser = ExchangeParser()
    assert parser.parse(frame(TICKER, fresh=True)).reconnected
    assert parser.parse(frame("junk", fresh=True)).reconnected
    assert not parser.parse(frame({"type": "subscriptions"})).reconnected
    assert not parser.parse(frame(TICKER)).reconnected
