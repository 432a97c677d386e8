from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.base import ParsedFrame
from flows.feeds.continuity import MEMORY_NS, Continuity
from schemas.ticks import Tick

RECONNECTED = ParsedFrame(reconnected=True)
LOST = ParsedFrame(lost=True)


def tick(trade_id: int | None, symbol: str = "BTC-USD", ts: int = 1_000) -> Tick:
    return Tick(symbol=symbol, venue="v", ts_event_ns=ts, price=1.0, trade_id=trade_id)


def admit(continuity: Continuity, *made: Tick) -> list[tuple[int | None, bool] | None]:
    admitted = [continuity.admit(each) for each in made]
    return [None if each is None else (each.trade_id, each.gap) for each in admitted]


def test_the_first_tick_is_no_gap_and_contiguous_ids_are_none() -> None:
    assert admit(Continuity(), tick(7), tick(8), tick(9)) == [(7, False), (8, False), (9, False)]


def test_a_jump_of_ids_is_a_gap_on_the_next_tick_of_that_symbol_alone() -> None:
    continuity = Continuity()
    made = tick(1), tick(1, "ETH-USD"), tick(3), tick(2, "ETH-USD"), tick(4)
    assert [each and each[1] for each in admit(continuity, *made)] == [
        False, False, True, False, False,
    ]  # fmt: skip
    assert continuity.gaps == 1


def test_an_id_that_does_not_rise_is_passed_on_while_connected() -> None:
    continuity = Continuity()
    made = tick(5), tick(5), tick(4), tick(6)
    assert admit(continuity, *made) == [(5, False), (5, False), (4, False), (6, False)]
    assert continuity.repeats == 0


def test_repeats_after_a_reconnect_are_dropped_until_something_new_comes() -> None:
    continuity = Continuity()
    admit(continuity, tick(5), tick(6))
    continuity.observe(RECONNECTED)
    assert admit(continuity, tick(5), tick(6), tick(7), tick(7)) == [
        None, None, (7, False), (7, False),
    ]  # fmt: skip
    assert continuity.repeats == 2


def test_a_reconnect_that_lost_trades_is_a_gap_after_the_repeats() -> None:
    continuity = Continuity()
    admit(continuity, tick(5))
    continuity.observe(RECONNECTED)
    assert admit(continuity, tick(5), tick(8), tick(9)) == [None, (8, True), (9, False)]


def test_lower_ids_long_after_are_a_new_numbering() -> None:
    continuity = Continuity()
    admit(continuity, tick(1_000, ts=0))
    continuity.observe(RECONNECTED)
    later = MEMORY_NS + 1
    assert admit(continuity, tick(1, ts=later), tick(2, ts=later)) == [(1, True), (2, False)]


def test_without_ids_a_reconnect_or_a_loss_marks_the_next_tick_of_each_known_symbol() -> None:
    for fact in (RECONNECTED, LOST):
        continuity = Continuity()
        admit(continuity, tick(None), tick(None, "ETH-USD"))
        continuity.observe(fact)
        made = tick(None), tick(None), tick(None, "NEW-USD"), tick(None, "ETH-USD")
        gaps = [each and each[1] for each in admit(continuity, *made)]
        assert gaps == [True, False, False, True]


def test_lost_messages_are_no_gap_where_ids_are_contiguous() -> None:
    continuity = Continuity()
    admit(continuity, tick(1))
    continuity.observe(LOST)
    assert admit(continuity, tick(2)) == [(2, False)]


def test_a_heartbeat_ahead_is_noted_and_the_ids_decide() -> None:
    continuity = Continuity()
    admit(continuity, tick(1))
    continuity.observe(ParsedFrame(last_trade=("BTC-USD", 3)))
    assert continuity.behind == 1
    assert admit(continuity, tick(4)) == [(4, True)]


def test_a_heartbeat_ahead_of_a_trade_still_on_its_way_is_no_gap() -> None:
    continuity = Continuity()
    admit(continuity, tick(1))
    continuity.observe(ParsedFrame(last_trade=("BTC-USD", 2)))
    assert admit(continuity, tick(2)) == [(2, False)]


def test_a_heartbeat_before_the_first_tick_is_where_ids_must_go_on() -> None:
    for first, gap in ((10, False), (11, False), (12, True)):
        continuity = Continuity()
        continuity.observe(ParsedFrame(last_trade=("BTC-USD", 10)))
        assert admit(continuity, tick(first)) == [(first, gap)]


def test_a_trade_known_from_heartbeats_alone_is_not_taken_for_a_repeat() -> None:
    continuity = Continuity()
    continuity.observe(ParsedFrame(last_trade=("BTC-USD", 10)))
    continuity.observe(RECONNECTED)
    assert admit(continuity, tick(10), tick(11)) == [(10, False), (11, False)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40, unique=True).map(sorted))
def test_rising_ids_pass_whole_and_gaps_are_exactly_the_missing_ids(ids: list[int]) -> None:
    continuity = Continuity()
    expected = [(new, new != old + 1) for old, new in pairwise(ids)]
    assert admit(continuity, *map(tick, ids)) == [(ids[0], False), *expected]


@given(
    st.lists(
        st.one_of(st.just("reconnect"), st.lists(st.integers(1, 20), max_size=8).map(sorted)),
        max_size=10,
    )
)
def test_after_reconnects_ids_never_fall_below_what_was_passed_on(steps: list[object]) -> None:
    continuity = Continuity()
    newest = 0
    for step in steps:
        if not isinstance(step, list):
            continuity.observe(RECONNECTED)
            continue
        continuity.observe(RECONNECTED)
        rising = sorted(set(step))
        passed = [each[0] for each in admit(continuity, *map(tick, rising)) if each is not None]
        assert all(trade_id is not None and trade_id > newest for trade_id in passed)
        newest = max([newest, *(trade_id for trade_id in passed if trade_id is not None)])
