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
    made = ticks(ExchangeParser(), {**TICKER, "price": "-1"}, {**TICKER, "price": "0"})
    assert [(tick.price, tick.bid) for tick in made] == [(-1.0, 100.4), (0.0, 100.4)]


MATCH = {
    "type": "match",
    "sequence": 6,
    "product_id": "BTC-USD",
    "price": "100.6",
    "size": "0.2",
    "side": "sell",
    "time": "2023-11-14T22:13:20.6Z",
    "trade_id": 10,
}


def ack(*products: str, also: str = "ticker") -> dict[str, object]:
    """Return the acknowledgement of ``matches`` for some products."""
    channels = [
        {"name": also, "product_ids": ["BTC-USD", "ETH-USD"]},
        {"name": "matches", "product_ids": list(products)},
    ]
    return {"type": "subscriptions", "channels": channels}


@pytest.mark.parametrize(
    "first",
    [ack("BTC-USD"), MATCH, {**MATCH, "type": "last_match"}],
    ids=["acknowledgement", "match", "last_match"],
)
def test_matches_give_the_ticks_of_a_product_once_they_are_subscribed_to(
    first: dict[str, object],
) -> None:
    parser = ExchangeParser()
    parser.parse(frame(first))
    made = ticks(parser, TICKER, {**MATCH, "trade_id": 11}, {**TICKER, "product_id": "ETH-USD"})
    assert [(tick.symbol, tick.trade_id) for tick in made] == [("BTC-USD", 11), ("ETH-USD", 9)]


def test_matches_promise_every_trade_and_ticker_does_not() -> None:
    parser = ExchangeParser()
    assert [parser.parse(frame(each)).complete for each in (TICKER, MATCH)] == [False, True]


def test_the_makers_side_of_a_match_is_turned_into_the_takers() -> None:
    sides = [{**MATCH, "side": side} for side in ("buy", "sell", "")]
    assert [tick.side for tick in ticks(ExchangeParser(), *sides)] == [-1, 1, 0]


def test_a_match_has_the_newest_quote_of_its_product() -> None:
    other = {**TICKER, "product_id": "ETH-USD", "best_bid": "1", "best_ask": "2"}
    made = ticks(ExchangeParser(), MATCH, TICKER, other, MATCH)
    quotes = [(tick.bid, tick.ask, tick.bid_size, tick.ask_size) for tick in made[-1:]]
    assert quotes == [(100.4, 100.6, 1.0, 2.0)]
    assert (made[0].bid, made[0].ask) == (None, None)


def test_a_crossed_ticker_leaves_matches_the_older_quote() -> None:
    parser = ExchangeParser()
    crossed = {**TICKER, "best_bid": "101"}
    [tick] = ticks(parser, ack("BTC-USD"), TICKER, crossed, MATCH)
    assert (tick.bid, tick.ask) == (100.4, 100.6)


def test_an_empty_book_leaves_matches_no_quote() -> None:
    parser = ExchangeParser()
    empty = {**TICKER, "best_bid": "", "best_ask": "0"}
    [tick] = ticks(parser, ack("BTC-USD"), TICKER, empty, MATCH)
    assert (tick.bid, tick.ask, tick.bid_size, tick.ask_size) == (None,) * 4


def test_last_match_of_a_second_subscription_on_a_connection_is_no_tick() -> None:
    parser = ExchangeParser()
    assert parser.parse(frame(MATCH, fresh=True)).ticks
    again = parser.parse(frame({**MATCH, "type": "last_match", "trade_id": 19}))
    assert not again.ticks
    assert again.replayed is None
    anew = parser.parse(frame({**MATCH, "type": "last_match"}, fresh=True))
    assert anew.replayed is not None


def test_last_match_in_a_recording_without_marks_may_follow_a_reconnect() -> None:
    parser = ExchangeParser(marked=False)
    parser.parse(frame(MATCH))
    assert parser.parse(frame({**MATCH, "type": "last_match"})).replayed is not None


def test_last_match_is_the_trade_before_the_subscription() -> None:
    parsed = ExchangeParser().parse(frame({**MATCH, "type": "last_match"}))
    assert not parsed.ticks
    assert parsed.replayed is not None
    assert (parsed.replayed.trade_id, parsed.replayed.side) == (10, 1)


@pytest.mark.parametrize(
    ("acks", "control"),
    [
        pytest.param([ack(), ack("BTC-USD")], True, id="growing"),
        pytest.param([ack("BTC-USD"), ack("BTC-USD", "ETH-USD")], True, id="growing further"),
        pytest.param([ack("BTC-USD"), ack()], False, id="shorter: of another connection"),
        pytest.param([ack("BTC-USD"), {"type": "subscriptions"}], False, id="none any more"),
        pytest.param([ack("BTC-USD"), {"type": "subscriptions", "channels": 5}], True, id="odd"),
    ],
)
def test_acknowledgements_say_which_channel_counts(
    acks: list[dict[str, object]], control: bool
) -> None:
    parser = ExchangeParser()
    assert (ticks(parser, *acks, TICKER) == []) == control


def test_a_new_connection_is_asked_anew() -> None:
    parser = ExchangeParser()
    ticks(parser, ack("BTC-USD"), TICKER, MATCH)
    [tick] = parser.parse(frame({**TICKER, "best_bid": ""}, fresh=True)).ticks
    assert tick.trade_id == 9
    [tick] = ticks(parser, MATCH)
    assert tick.bid is None


def test_an_acknowledgement_after_ticks_begins_a_connection_where_none_are_marked() -> None:
    for marked in (True, False):
        parser = ExchangeParser(marked=marked)
        parsed = [parser.parse(frame(each)) for each in (ack(), ack(), TICKER, ack())]
        assert [each.reconnected for each in parsed] == [False, False, False, not marked]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscriptions", "channels": []},
        {"type": "snapshot", "bids": [], "asks": []},
        {"type": "l2update", "changes": []},
        {"type": "heartbeat", "product_id": "BTC-USD"},
        {"type": "something new", "price": []},
    ],
)
def test_everything_but_trades_is_control(message: dict[str, object]) -> None:
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
    parsed = ExchangeParser().parse(frame({**message, "time": "2023-11-14T22:13:20Z"}))
    assert parsed.last_trade == ("BTC-USD", 12)
    assert parsed.sent_ns == 1_700_000_000_000_000_000
    assert ExchangeParser().parse(frame(message)).sent_ns is None


@pytest.mark.parametrize("value", [0, None, "0", "", "none"])
def test_an_id_of_nothing_is_none(value: object) -> None:
    [tick] = ticks(ExchangeParser(), {**TICKER, "trade_id": value})
    assert tick.trade_id is None
    message = {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": value}
    parsed = ExchangeParser().parse(frame(message))
    assert parsed.last_trade is None
    assert not parsed.dead


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
        ({**TICKER, "best_ask_size": True}, Reason.BROKEN_FRAME),
        ({**TICKER, "best_ask": {}}, Reason.BROKEN_FRAME),
        ({"type": "match", "price": "1"}, Reason.BROKEN_FRAME),
        ({"type": "last_match"}, Reason.BROKEN_FRAME),
        ({**MATCH, "price": ""}, Reason.BROKEN_FRAME),
        ({**MATCH, "time": "today"}, Reason.BROKEN_FRAME),
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


def test_data_before_the_acknowledgement_wait_for_what_it_says() -> None:
    eth = {**TICKER, "product_id": "ETH-USD"}
    parser = ExchangeParser(asks_for_matches=True)
    assert ticks(parser, TICKER, eth) == []
    assert [tick.symbol for tick in ticks(parser, ack("BTC-USD"))] == ["ETH-USD"]
    assert ticks(parser, TICKER) == []
    again = ExchangeParser(asks_for_matches=True)
    assert ticks(again, TICKER, MATCH, eth)[0].trade_id == 10
    assert [tick.symbol for tick in ticks(again, ack())] == ["ETH-USD"]


def test_an_acknowledgement_decides_for_the_products_that_it_names() -> None:
    """Where products are asked for one by one, the first is acknowledged before the next begins."""
    eth = {"product_id": "ETH-USD"}
    first = {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD"]}]}
    parser = ExchangeParser(asks_for_matches=True)
    assert ticks(parser, first, {**TICKER, **eth}) == []
    assert ticks(parser, {**MATCH, **eth, "type": "last_match"}) == []
    both = ticks(parser, ack("BTC-USD", "ETH-USD"), {**TICKER, **eth}, {**MATCH, **eth})
    assert [tick.trade_id for tick in both] == [10]


def test_a_venue_that_never_acknowledges_is_not_waited_for() -> None:
    parser = ExchangeParser(asks_for_matches=True)
    assert not parser.parse(frame(TICKER, 10**9)).ticks
    late = frame({**TICKER, "trade_id": 10}, 4 * 10**9)
    assert [tick.trade_id for tick in parser.parse(late).ticks] == [9, 10]


def test_an_older_quote_that_comes_late_does_not_replace_a_newer_one() -> None:
    older = {**TICKER, "sequence": 4, "best_bid": "90"}
    made = ticks(ExchangeParser(), ack("BTC-USD"), TICKER, older, MATCH)
    assert [tick.bid for tick in made] == [100.4]
