from typing import Any

import pytest

from flows.feeds.base import ParsedFrame
from flows.feeds.coinbase_advanced.parse import AdvancedParser, subscribes_to_trades
from tests.unit.feeds.support import frame, ticks

TIME = "2023-11-14T22:13:20.5Z"


def message(channel: str, sequence: int, *events: dict[str, Any]) -> dict[str, Any]:
    return {"channel": channel, "timestamp": TIME, "sequence_num": sequence, "events": list(events)}


def ticker(sequence: int = 0, price: str = "100", bid: str = "99", ask: str = "101") -> Any:
    entry = {"product_id": "BTC-USD", "price": price, "best_bid": bid, "best_ask": ask}
    return message("ticker", sequence, {"type": "update", "tickers": [entry]})


def trades(*ids: int, sequence: int = 0, side: str = "BUY") -> Any:
    made = [
        {
            "product_id": "BTC-USD",
            "trade_id": str(trade_id),
            "price": "100",
            "size": "1",
            "time": TIME,
            "side": side,
        }
        for trade_id in ids
    ]
    return message("market_trades", sequence, {"type": "update", "trades": made})


def ack(sequence: int = 0, **channels: list[str]) -> Any:
    return message("subscriptions", sequence, {"subscriptions": channels})


def book(kind: str, *levels: tuple[str, str, str], sequence: int = 0) -> Any:
    updates = [{"side": s, "price_level": p, "new_quantity": q} for s, p, q in levels]
    event = {"type": kind, "product_id": "BTC-USD", "updates": updates}
    return message("l2_data", sequence, event)


def parse(parser: AdvancedParser, *messages: object) -> list[ParsedFrame]:
    return [parser.parse(frame(each)) for each in messages]


@pytest.mark.parametrize("is_broken", [False, True], ids=["whole", "a broken part"])
@pytest.mark.parametrize(
    ("kind", "is_live", "ids"),
    [("snapshot", True, [2, 3]), ("snapshot", False, [1, 2, 3]), ("update", True, [1, 2, 3])],
)
def test_of_a_live_snapshot_the_last_seconds_count(
    kind: str, is_live: bool, ids: list[int], is_broken: bool
) -> None:
    made = trades(3, 2, 1)
    event = made["events"][0]
    event["type"] = kind
    event["trades"][2]["time"] = "2023-11-14T22:12:30.4Z"
    event["trades"][1]["time"] = "2023-11-14T22:12:30.5Z"
    if is_broken:
        event["trades"].append({"product_id": "BTC-USD", "price": None, "time": TIME})
    found = ticks(AdvancedParser(marked=is_live), made)
    assert [tick.trade_id for tick in found] == ids


def test_ticker_gives_ticks_without_size_side_and_id() -> None:
    [tick] = ticks(AdvancedParser(), ticker())
    assert (tick.size, tick.side, tick.trade_id, tick.bid_size) == (None, 0, None, None)
    assert (tick.price, tick.bid, tick.ask) == (100.0, 99.0, 101.0)


@pytest.mark.parametrize("first", [ack(market_trades=["BTC-USD"]), trades(1)])
def test_ticker_is_control_once_market_trades_is_subscribed_to(first: object) -> None:
    parser = AdvancedParser()
    parse(parser, first)
    assert ticks(parser, ticker(), ticker()) == []


def test_an_acknowledgement_of_other_channels_leaves_ticker_its_ticks() -> None:
    parser = AdvancedParser()
    parse(parser, ack(ticker=["BTC-USD"], market_trades=[]))
    assert len(ticks(parser, ticker())) == 1


def test_who_knows_of_the_subscription_gets_no_ticker_ticks_at_all() -> None:
    assert ticks(AdvancedParser(trades=True), ticker(), ticker()) == []


def test_the_choice_outlives_a_reconnect() -> None:
    parser = AdvancedParser()
    parse(parser, trades(1))
    assert not parser.parse(frame(ticker(), fresh=True)).ticks


def test_looking_ahead_finds_a_subscription_by_acknowledgement_or_trade() -> None:
    texts = [frame(ticker()).text, "junk", frame(message("x", 0)).text]
    assert not subscribes_to_trades(texts)
    assert not subscribes_to_trades([*texts, frame(ack(market_trades=[])).text])
    assert subscribes_to_trades([*texts, frame(ack(market_trades=["BTC-USD"])).text])
    assert subscribes_to_trades([*texts, frame(trades(5)).text])
    assert not subscribes_to_trades(['{"type":"error","message":"no \\"market_trades\\""}'])


def test_trades_of_a_frame_come_oldest_first() -> None:
    assert [tick.trade_id for tick in ticks(AdvancedParser(), trades(9, 8, 7))] == [7, 8, 9]


def test_trades_without_ids_come_oldest_first_too() -> None:
    made = trades(3, 2, 1)
    for each, price in zip(made["events"][0]["trades"], ("30", "20", "10"), strict=True):
        each["trade_id"] = "0"
        each["price"] = price
    found = ticks(AdvancedParser(), made)
    assert [(tick.price, tick.trade_id) for tick in found] == [(10, None), (20, None), (30, None)]


def test_market_trades_promise_every_trade_and_ticker_does_not() -> None:
    assert [parsed.complete for parsed in parse(AdvancedParser(), ticker(), trades(1))] == [
        False,
        True,
    ]


def test_heartbeats_tell_the_venues_clock() -> None:
    [parsed] = parse(AdvancedParser(), message("heartbeats", 1))
    assert parsed.sent_ns == 1_700_000_000_500_000_000


def test_the_makers_side_is_turned_into_the_takers() -> None:
    made = ticks(
        AdvancedParser(), trades(1, side="BUY"), trades(2, side="SELL"), trades(3, side="")
    )
    assert [tick.side for tick in made] == [-1, 1, 0]


def quote_after(*messages: object) -> tuple[float | None, float | None]:
    parser = AdvancedParser()
    parse(parser, *messages)
    [tick] = ticks(parser, trades(50))
    return tick.bid, tick.ask


SNAPSHOT = book("snapshot", ("bid", "98", "1"), ("bid", "97", "2"), ("offer", "102", "1"))


def test_quotes_are_null_until_one_is_known() -> None:
    assert quote_after(trades(1)) == (None, None)


def test_the_newest_of_ticker_and_book_is_joined() -> None:
    assert quote_after(trades(1), ticker()) == (99.0, 101.0)
    assert quote_after(trades(1), ticker(), SNAPSHOT) == (98.0, 102.0)
    assert quote_after(trades(1), SNAPSHOT, ticker()) == (99.0, 101.0)


def test_the_book_follows_its_changes() -> None:
    gone = book("update", ("bid", "98", "0"), ("offer", "101.5", "3"))
    assert quote_after(trades(1), SNAPSHOT, gone) == (97.0, 101.5)
    empty = book("update", ("bid", "98", "0"), ("bid", "97", "0"))
    assert quote_after(trades(1), SNAPSHOT, empty) == (None, 102.0)


def test_a_snapshot_replaces_the_book() -> None:
    again = book("snapshot", ("bid", "50", "1"), ("offer", "60", "1"))
    assert quote_after(trades(1), SNAPSHOT, again) == (50.0, 60.0)


def test_changes_of_a_book_never_seen_whole_say_nothing() -> None:
    assert quote_after(trades(1), book("update", ("bid", "98", "1"))) == (None, None)


CROSSING = book("update", ("bid", "103", "1"))


def test_a_crossed_book_leaves_the_older_quote() -> None:
    assert quote_after(trades(1), SNAPSHOT, CROSSING) == (98.0, 102.0)
    assert quote_after(trades(1), ticker(), SNAPSHOT, ticker(), CROSSING) == (99.0, 101.0)
    uncrossed = book("update", ("offer", "102", "0"), ("offer", "104", "1"))
    assert quote_after(trades(1), SNAPSHOT, CROSSING, uncrossed) == (103.0, 104.0)


def test_a_book_that_is_crossed_from_the_start_gives_no_quote() -> None:
    crossed = book("snapshot", ("bid", "98", "1"), ("offer", "97", "1"))
    assert quote_after(trades(1), crossed) == (None, None)


def test_a_crossed_ticker_leaves_the_older_quote() -> None:
    assert quote_after(trades(1), ticker(), ticker(bid="102")) == (99.0, 101.0)


def test_levels_that_say_nothing_do_not_spoil_the_book() -> None:
    odd = book("update", ("bid", "nan", "1"), ("bid", "0", "1"), ("offer", "-1", "1"))
    assert quote_after(trades(1), SNAPSHOT, odd) == (98.0, 102.0)
    gone = book("update", ("bid", "98", "nan"), ("offer", "102", "-3"))
    assert quote_after(trades(1), SNAPSHOT, gone) == (97.0, None)


def test_quotes_do_not_outlive_the_connection() -> None:
    parser = AdvancedParser()
    parse(parser, trades(1), ticker(), SNAPSHOT)
    [tick] = parser.parse(frame(trades(2), fresh=True)).ticks
    assert (tick.bid, tick.ask) == (None, None)


HEARTBEAT = message("heartbeats", 1)


def losses(*messages: object) -> list[bool]:
    return [parsed.lost for parsed in parse(AdvancedParser(), *messages)]


def test_a_hole_counts_as_loss_once_heartbeats_were_seen() -> None:
    assert losses(ticker(0), HEARTBEAT, ticker(2), ticker(4)) == [False, False, False, True]


def test_a_hole_counts_as_loss_where_the_acknowledgement_lists_no_heartbeats() -> None:
    assert losses(ack(0, ticker=["BTC-USD"]), ticker(1), ticker(3)) == [False, False, True]


def test_a_filtered_recording_shows_holes_that_mean_nothing() -> None:
    assert losses(ticker(0), ticker(2), ticker(9)) == [False] * 3
    asked = ack(1, ticker=["BTC-USD"], heartbeats=["heartbeats"])
    assert losses(asked, ticker(2), ticker(4)) == [False] * 3


def test_a_sequence_that_is_always_zero_is_unknown() -> None:
    parser = AdvancedParser()
    made = parse(parser, ticker(0), HEARTBEAT | {"sequence_num": 0}, ticker(0))
    assert not any(parsed.lost or parsed.reconnected for parsed in made)
    assert [tick.sequence for parsed in made for tick in parsed.ticks] == [None, None]


def test_a_sequence_that_starts_over_is_a_new_connection() -> None:
    made = parse(AdvancedParser(), ticker(5), ticker(6), ticker(0), ticker(1))
    assert [parsed.reconnected for parsed in made] == [False, False, True, False]


def test_control_messages_count_in_the_sequence() -> None:
    unknown = message("status", 3)
    candles = message("candles", 4)
    assert not any(losses(ack(1), HEARTBEAT | {"sequence_num": 2}, unknown, candles, ticker(5)))


def test_a_believed_hole_forgets_quotes_and_books() -> None:
    parser = AdvancedParser()
    parse(parser, trades(1, sequence=1), HEARTBEAT | {"sequence_num": 2}, ticker(3))
    [tick] = ticks(parser, trades(2, sequence=5))
    assert (tick.bid, tick.ask) == (None, None)


def test_an_error_message_is_a_warning() -> None:
    [parsed] = parse(AdvancedParser(), {"type": "error", "message": "no"})
    assert parsed.warning == "coinbase-advanced: no"


def test_the_good_parts_of_a_frame_are_ticks_and_the_bad_ones_dead_letters() -> None:
    half = trades(1, 2, 3)
    half["events"][0]["trades"][1]["price"] = "?"
    half["events"][0]["trades"][2]["time"] = "?"
    [parsed] = parse(AdvancedParser(), half)
    assert [tick.trade_id for tick in parsed.ticks] == [1]
    assert len(parsed.dead) == 2
    assert b'"?"' in parsed.dead[0].payload


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "5",
        {},
        {"channel": "ticker"},
        {"channel": "ticker", "timestamp": TIME, "events": [{"type": "update"}]},
        {"channel": "ticker", "timestamp": TIME, "sequence_num": -1, "events": []},
        {"channel": "market_trades", "timestamp": TIME, "events": {}},
        {"channel": "l2_data", "timestamp": TIME, "events": [5]},
        message("ticker", 0, {"tickers": [{"product_id": "BTC-USD", "price": "nan"}]}),
        message("ticker", 0, {"tickers": [{"product_id": "BTC-USD"}]}),
        message("market_trades", 0, {"trades": [{"product_id": "BTC-USD"}]}),
    ],
)
def test_a_frame_without_any_good_part_is_dead(broken: object) -> None:
    [parsed] = parse(AdvancedParser(), broken)
    assert not parsed.ticks
    assert len(parsed.dead) == 1
