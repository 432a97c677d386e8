from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.base import ParsedFrame
from flows.feeds.continuity import MEMORY_NS, Continuity
from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick

RECONNECTED = ParsedFrame(reconnected=True)
LOST = ParsedFrame(lost=True)


def tick(trade_id: int | None, symbol: str = "BTC-USD", ts: int = 1_000, *, gap: bool = False):
    return Tick(symbol=symbol, venue="v", ts_event_ns=ts, price=1.0, trade_id=trade_id, gap=gap)


def heartbeat(trade_id: int) -> ParsedFrame:
    return ParsedFrame(last_trade=("BTC-USD", trade_id))


def play(
    continuity: Continuity, *steps: int | ParsedFrame | Tick | None, complete: bool = False
) -> list[tuple[int | None, bool] | None]:
    """Observe frames and admit ticks (a number is a tick's id); return id and gap of each tick."""
    found: list[tuple[int | None, bool] | None] = []
    for step in steps:
        if isinstance(step, ParsedFrame):
            continuity.observe(step)
            continue
        made = step if isinstance(step, Tick) else tick(step)
        admitted = continuity.admit(made, complete=complete)
        found.append(None if admitted is None else (admitted.trade_id, admitted.gap))
    return found


@pytest.mark.parametrize(
    ("complete", "steps", "expected"),
    [
        pytest.param(True, [7, 8, 9], [False] * 3, id="contiguous ids"),
        pytest.param(True, [7, 9, 10], [False, True, False], id="a channel that promises all"),
        pytest.param(False, [7, 9, 10], [False] * 3, id="a channel that coalesces"),
        pytest.param(False, [7, RECONNECTED, 9, 10], [False, True, False], id="new connection"),
        pytest.param(False, [7, RECONNECTED, 8], [False, False], id="new connection, all there"),
        pytest.param(True, [7, RECONNECTED, 8], [False, False], id="promised, all there"),
        pytest.param(False, [7, LOST, 9], [False, True], id="lost messages"),
        pytest.param(False, [7, LOST, 8], [False, False], id="lost messages of others"),
        pytest.param(False, [7, heartbeat(9), 10], [False, False], id="one heartbeat ahead"),
        pytest.param(
            False, [7, heartbeat(9), heartbeat(9), 10], [False, True], id="heartbeat stays ahead"
        ),
        pytest.param(
            False, [7, heartbeat(9), heartbeat(11), 10, 11, 12], [False, True, False, False],
            id="heartbeats stay ahead",
        ),
        pytest.param(
            False, [7, heartbeat(9), heartbeat(9), 9, 10], [False] * 3, id="late, but all there"
        ),
        pytest.param(
            False, [7, heartbeat(9), heartbeat(9), 8, 10], [False, False, True], id="a part came"
        ),
        pytest.param(
            False, [7, heartbeat(9), 9, heartbeat(10), 11], [False] * 3, id="heartbeats overtaken"
        ),
        pytest.param(False, [heartbeat(10), 13], [False], id="heartbeat first, coalesced"),
        pytest.param(True, [heartbeat(10), 13], [True], id="heartbeat first, promised"),
        pytest.param(True, [heartbeat(10), 11], [False], id="heartbeat first, all there"),
        pytest.param(True, [heartbeat(10), 10, 11], [False] * 2, id="heartbeat names the first"),
        pytest.param(
            True, [heartbeat(10), RECONNECTED, 10, 11], [False] * 2, id="heartbeats alone"
        ),
        pytest.param(False, [None, RECONNECTED, None, None], [False, True, False], id="no ids"),
        pytest.param(False, [None, LOST, None, None], [False, True, False], id="no ids, lost"),
        pytest.param(True, [7, None, 8], [False] * 3, id="an id missing"),
        pytest.param(True, [7, RECONNECTED, None, 8], [False] * 3, id="ids show nothing is lost"),
        pytest.param(
            True, [7, RECONNECTED, None, 10], [False, False, True], id="ids tell of the loss later"
        ),
        pytest.param(True, [7, None, 9], [False] * 3, id="a trade without an id fills a hole"),
        pytest.param(True, [7, None, 10], [False, False, True], id="one of two is missing"),
        pytest.param(True, [7, None, 9, 11], [False] * 3 + [True], id="it fills one hole alone"),
        pytest.param(
            False, [7, RECONNECTED, None, 8], [False, True, False], id="coalesced, without an id"
        ),
        pytest.param(False, [tick(7, gap=True), 8], [True, False], id="the tick's own mark"),
    ],
)  # fmt: skip
def test_gaps(complete: bool, steps: list[object], expected: list[bool]) -> None:
    continuity = Continuity()
    found = play(continuity, *steps, complete=complete)
    assert [each and each[1] for each in found] == expected
    assert continuity.gaps == sum(expected)
    assert continuity.repeats == 0


def test_a_gap_is_its_symbols_alone() -> None:
    continuity = Continuity()
    made = tick(1), tick(1, "ETH-USD"), tick(3), tick(2, "ETH-USD"), tick(4)
    found = play(continuity, *made, complete=True)
    assert [each and each[1] for each in found] == [False, False, True, False, False]


def test_a_reconnect_marks_the_next_tick_of_each_symbol_seen_before() -> None:
    continuity = Continuity()
    play(continuity, tick(None), tick(None, "ETH-USD"), RECONNECTED)
    found = play(continuity, tick(None), tick(None), tick(None, "NEW-USD"), tick(None, "ETH-USD"))
    assert [each and each[1] for each in found] == [True, False, False, True]


def test_a_feed_that_begins_marks_the_first_tick_of_each_symbol() -> None:
    continuity = Continuity(begins=True)
    made = heartbeat(6), 7, 8, tick(1, "ETH-USD"), tick(None, "NEW-USD"), 9, tick(2, "ETH-USD")
    found = play(continuity, *made, complete=True)
    assert [each and each[1] for each in found] == [True, False, True, True, False, False]


def test_what_came_before_is_dropped_and_what_did_not_is_passed_on() -> None:
    continuity = Continuity()
    assert play(continuity, 5, 5, 9, 7, 7, 4, 10) == [
        (5, False), None, (9, False), (7, False), None, (4, False), (10, False),
    ]  # fmt: skip
    assert continuity.repeats == 2


def test_repeats_after_a_reconnect_are_dropped_until_something_new_comes() -> None:
    continuity = Continuity()
    assert play(continuity, 5, 6, RECONNECTED, 4, 5, 6, 7, 7) == [
        (5, False), (6, False), None, None, None, (7, False), None,
    ]  # fmt: skip
    assert continuity.repeats == 4


def test_a_reconnect_that_lost_trades_is_a_gap_after_the_repeats() -> None:
    assert play(Continuity(), 5, RECONNECTED, 5, 8, 9)[1:] == [None, (8, True), (9, False)]


def test_the_mark_of_a_dropped_tick_stays_for_the_next() -> None:
    assert play(Continuity(), 5, tick(5, gap=True), 6, 7)[1:] == [None, (6, True), (7, False)]


def test_lower_ids_long_after_are_a_new_numbering() -> None:
    later = MEMORY_NS + 1
    for between in ([], [RECONNECTED]):
        continuity = Continuity()
        steps = [tick(1_000, ts=0), *between, tick(1, ts=later), tick(2, ts=later)]
        assert play(continuity, *steps)[1:] == [(1, True), (2, False)]


def test_one_absurd_id_does_not_make_repeats_of_all_that_follow() -> None:
    continuity = Continuity()
    assert play(continuity, 5, 2**62, 6, 7, 8, complete=True) == [
        (5, False), (2**62, True), (6, False), (7, False), (8, False),
    ]  # fmt: skip


def test_a_trade_from_before_the_subscription_is_a_tick_only_if_it_is_new() -> None:
    continuity = Continuity()
    assert continuity.fill_in(tick(10), complete=True) is None
    assert play(continuity, 11, RECONNECTED, complete=True) == [(11, False)]
    assert continuity.fill_in(tick(11), complete=True) is None
    assert continuity.fill_in(tick(12), complete=True) == tick(12)
    assert play(continuity, 13, RECONNECTED, complete=True) == [(13, False)]
    assert continuity.fill_in(tick(20), complete=True) == tick(20, gap=True)
    assert play(continuity, 21, complete=True) == [(21, False)]
    assert (continuity.gaps, continuity.repeats) == (1, 0)


def test_a_trade_from_before_the_subscription_names_what_must_follow() -> None:
    continuity = Continuity()
    continuity.fill_in(tick(10), complete=True)
    assert play(continuity, 12, complete=True) == [(12, True)]


@pytest.mark.parametrize(
    ("spacings_s", "silence_s", "heartbeats", "gap"),
    [
        pytest.param([0.5] * 50, 9.0, False, False, id="20 times nearly"),
        pytest.param([0.5] * 50, 11.0, False, True, id="20 times"),
        pytest.param([0.01] * 50, 4.9, False, False, id="never below five seconds"),
        pytest.param([0.01] * 50, 5.1, False, True, id="above five seconds"),
        pytest.param([10.0] * 50, 150.0, False, False, id="a thin market"),
        pytest.param([10.0] * 50, 250.0, False, True, id="a thin market, silent"),
        pytest.param([1.0] * 50, 6.0, True, True, id="heartbeats come every second"),
        pytest.param([], 3600.0, False, False, id="nothing to compare with"),
        pytest.param([60.0] + [0.01] * 200, 6.0, False, True, id="a slow start is forgotten"),
        pytest.param([0.1] * 50 + [9_000.0] + [0.1] * 5, 6.0, False, True, id="a second silence"),
    ],
)
@pytest.mark.parametrize("received", [True, False], ids=["receive times", "event times"])
def test_a_skip_across_a_silence_of_an_unmarked_recording(
    spacings_s: list[float], silence_s: float, heartbeats: bool, gap: bool, received: bool
) -> None:
    continuity = Continuity()
    now_ns, number, admitted = 10**18, 1, None
    for spacing_s in [0.0, *spacings_s, silence_s]:
        now_ns += int(spacing_s * NS_PER_S)
        # What is skipped now is skipped across the last silence; before, ids follow each other.
        number += 2 if spacing_s == silence_s else 1
        made = tick(number, ts=now_ns)
        beat = heartbeat(number - 1) if heartbeats else ParsedFrame()
        frame = msgspec.structs.replace(beat, ticks=[made])
        continuity.observe(frame)
        continuity.note_time(now_ns if received else None, frame)
        admitted = continuity.admit(made)
    assert admitted is not None
    assert admitted.gap == gap


def test_a_silence_is_no_gap_where_ids_follow_or_connections_are_marked() -> None:
    for marked, skip, gap in ((False, 1, False), (False, 2, True), (True, 2, False)):
        continuity = Continuity()
        for number in range(20):
            if not marked:
                continuity.note_time(number * NS_PER_S, ParsedFrame())
            continuity.admit(tick(number + 1))
        if not marked:
            continuity.note_time(1_000 * NS_PER_S, ParsedFrame())
        admitted = continuity.admit(tick(20 + skip))
        assert admitted is not None
        assert admitted.gap == gap


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40, unique=True).map(sorted))
def test_gaps_of_a_promise_are_exactly_the_missing_ids(ids: list[int]) -> None:
    expected = [(new, new != old + 1) for old, new in pairwise(ids)]
    assert play(Continuity(), *ids, complete=True) == [(ids[0], False), *expected]


@given(
    st.lists(
        st.one_of(st.just("reconnect"), st.lists(st.integers(1, 20), max_size=8).map(sorted)),
        max_size=10,
    ),
    st.booleans(),
)
def test_nothing_is_passed_on_twice(steps: list[object], complete: bool) -> None:
    continuity = Continuity()
    passed: list[int | None] = []
    for step in steps:
        if not isinstance(step, list):
            continuity.observe(RECONNECTED)
            continue
        passed += [
            each[0] for each in play(continuity, *step, complete=complete) if each is not None
        ]
    first = passed[0] if passed else None
    above = [each for each in passed if each is not None and first is not None and each >= first]
    assert len(set(above)) == len(above)
