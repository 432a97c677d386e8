"""The oracle's own rules, by example."""

import msgspec
import pytest

from flows.numeric.time import NS_PER_S
from schemas.dead_letters import Reason
from schemas.ticks import Tick
from tests.oracle.expectation import expect
from tests.oracle.order import Decision
from tests.support.kafka.tools import Message

T0 = 1_750_000_000 * NS_PER_S


def tick(at_s: float, trade_id: int | None = None, **fields: object) -> Tick:
    whole = {"symbol": "BTC-USD", "venue": "v", "price": 100.0, **fields}
    return Tick(ts_event_ns=T0 + round(at_s * NS_PER_S), trade_id=trade_id, **whole)


def decisions(ticks: list[Tick]) -> list[Decision]:
    raw = [
        Message(0, offset, -1, b"k", msgspec.json.encode(each)) for offset, each in enumerate(ticks)
    ]
    expected = expect(raw)
    return [
        expected.rows[0, offset].decision if (0, offset) in expected.rows else Decision.DUPLICATE
        for offset in range(len(ticks))
    ]


FIRST, ON_TIME, LATE = Decision.FIRST, Decision.ON_TIME, Decision.LATE
RESTART, DUPLICATE = Decision.RESTART, Decision.DUPLICATE


@pytest.mark.parametrize(
    ("ticks", "wanted"),
    [
        ([(0, 1), (1, 2), (1, 3)], [FIRST, ON_TIME, ON_TIME]),
        ([(0, None), (0, None)], [FIRST, ON_TIME]),
        ([(0, 1), (1, 1)], [FIRST, DUPLICATE]),
        ([(0, 5), (1, None), (2, 5)], [FIRST, ON_TIME, DUPLICATE]),
        ([(60, 1), (0, 2)], [FIRST, LATE]),
        ([(60.1, 1), (0, 2)], [FIRST, RESTART]),
        ([(0, 1), (3600, 2)], [FIRST, ON_TIME]),
        ([(0, 1), (3600.1, 2)], [FIRST, RESTART]),
        ([(0, 9), (3600.1, 1)], [FIRST, RESTART]),
        ([(0, 9), (3599, None), (3601, 1)], [FIRST, ON_TIME, ON_TIME]),
        ([(0, 9), (80000, 1), (80001, 1)], [FIRST, RESTART, DUPLICATE]),
    ],
)
def test_verdicts(ticks, wanted) -> None:
    assert decisions([tick(*each) for each in ticks]) == wanted


def test_a_symbol_silent_for_a_day_is_forgotten() -> None:
    hours = [tick(3600 * i, i, symbol="ETH-USD") for i in range(1, 25)]
    assert decisions([tick(0, 1), *hours, tick(10, 1)])[-1] == DUPLICATE
    longer = [*hours, tick(86_401, 25, symbol="ETH-USD")]
    assert decisions([tick(0, 1), *longer, tick(10, 1)])[-1] == FIRST


def test_a_clock_far_ahead_makes_no_time_pass() -> None:
    ahead = [tick(86_401 * i, i, symbol="ETH-USD") for i in range(1, 25)]
    assert decisions([tick(0, 1), *ahead, tick(10, 1)])[-1] == DUPLICATE


def test_a_gap_mark_counts_unless_the_id_follows() -> None:
    ticks = [tick(0, 1, gap=True), tick(1, 2, gap=True), tick(2, 4, gap=True), tick(3, 5)]
    raw = [
        Message(0, offset, -1, b"k", msgspec.json.encode(each)) for offset, each in enumerate(ticks)
    ]
    assert [row.gap for row in expect(raw).rows.values()] == [True, False, True, False]


def test_warm_after_five_minutes_of_memory() -> None:
    raw = [
        Message(0, offset, -1, b"k", msgspec.json.encode(tick(at)))
        for offset, at in enumerate((0, 299.999, 300, 4000, 4001))
    ]
    assert [row.warm for row in expect(raw).rows.values()] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("value", "timestamp_ms", "reason"),
    [
        (b"{", -1, Reason.NOT_JSON),
        (b'{"symbol":"A","venue":"v","ts_event_ns":1}', -1, Reason.MISSING_FIELD),
        (b'{"symbol":1,"venue":"v","ts_event_ns":1,"price":1}', -1, Reason.WRONG_TYPE),
        (b" " * 65_537, -1, Reason.TOO_LARGE),
        (msgspec.json.encode(tick(301)), T0 // 1_000_000, Reason.FUTURE_TIME),
        (msgspec.json.encode(tick(0, bid=2.0, ask=1.0)), -1, Reason.CROSSED_BOOK),
        (msgspec.json.encode(tick(0, bid=0.0)), -1, Reason.BAD_PRICE),
        (msgspec.json.encode(tick(0, size=-1.0)), -1, Reason.NEGATIVE_SIZE),
    ],
)
def test_bad_messages_become_letters_with_their_reason(value, timestamp_ms, reason) -> None:
    expected = expect([Message(0, 3, timestamp_ms, None, value)])
    assert not expected.rows
    assert reason in expected.dead_letters[0, 3].reasons
    assert expected.dead_letters[0, 3].payload == value


def test_symbols_outside_the_list_are_refused() -> None:
    raw = [Message(0, 0, -1, None, msgspec.json.encode(tick(0)))]
    assert not expect(raw, frozenset({"ETH-USD"})).rows
    assert expect(raw, frozenset({"BTC-USD"})).rows
