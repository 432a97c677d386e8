"""A gap is not lost with the tick that carries it."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec import gap_marks
from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from schemas.ticks import Tick
from tests.oracle import marks as oracle
from tests.oracle.marks import Marks
from tests.oracle.validity import validate

NOW_NS = 1_700_000_000_000_000_000


def message(symbol: str = "A", trade_id: int | None = 1, **changes: object) -> bytes:
    tick = {
        "symbol": symbol,
        "venue": "v",
        "ts_event_ns": NOW_NS,
        "price": 1.0,
        "trade_id": trade_id,
    }
    return json.dumps({**tick, **changes}).encode()


def gaps(values: list[bytes], cuts=(), symbols: SymbolTable | None = None, first: int = 0):
    """Return, for each usable tick from the offset ``first`` on, its offset and its gap."""
    symbols = symbols or SymbolTable()
    borders = sorted({first, len(values), *(cut for cut in cuts if first < cut < len(values))})
    found = []
    for start, end in itertools.pairwise(borders):
        offsets = list(range(start, end))
        raw = RawBatch(0, values[start:end], offsets, [-1] * len(offsets), end)
        ticks, _dead = decode(raw, symbols, "ticks.raw", frozenset())
        found += zip(ticks.offset.tolist(), ticks.gap.tolist(), strict=True)
    return found


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 3)], ids=["one batch", "two", "one by one"])
@pytest.mark.parametrize(
    "refused",
    [
        message(trade_id=5, gap=True, price=0),
        message(trade_id=5, gap=True, price="1"),
        message(trade_id="5", gap=True),
        message(trade_id=5, gap=True, bid=3.0, ask=2.0),
        message(trade_id=5, gap=True, ts_event_ns=1),
        message(trade_id=5, gap=True, pad="x" * 70_000),
        json.dumps({"symbol": "A", "venue": "v", "gap": True}).encode(),
    ],
    ids=["price", "type", "id", "book", "time", "size", "fields"],
)
def test_the_next_tick_of_the_symbol_carries_the_gap_of_a_refused_one(refused, cuts):
    log = [message(trade_id=1), refused, message("B"), message(trade_id=6), message(trade_id=7)]
    assert gaps(log, cuts) == [(0, False), (2, False), (3, True), (4, False)]


@pytest.mark.parametrize(
    "refused",
    [
        b"{",
        b'{"gap":true}',
        message(gap=True)[:-1],
        message(price=0),
        message(price=0, gap="yes"),
        message("B", price=0, gap=True),
        message(price=0, gap=True, venue="w"),
    ],
    ids=["no json", "no symbol", "cut off", "no gap", "no boolean", "other symbol", "other venue"],
)
def test_what_cannot_be_read_or_is_not_of_the_symbol_marks_nothing(refused):
    assert gaps([message(trade_id=1), refused, message(trade_id=2)]) == [(0, False), (2, False)]


def test_an_earlier_trade_leaves_the_mark():
    log = [
        message(trade_id=100),
        message(trade_id=105, gap=True, price=0),
        message(trade_id=100),
        message(trade_id=101),
        message(trade_id=105),
    ]
    assert gaps(log) == [(0, False), (2, False), (3, False), (4, True)]


def test_a_symbol_that_is_not_allowed_leaves_no_mark():
    symbols = SymbolTable()
    raw = RawBatch(0, [message(gap=True, price=0), message("B", gap=True)], [0, 1], [-1, -1], 2)
    decode(raw, symbols, "ticks.raw", frozenset({"C"}))
    assert symbols.gap_marks.keys == []
    assert symbols.gap_marks.rebuild_from(2, 2) == 2


def test_the_oldest_waiting_mark_holds_the_rebuild_back_until_it_is_too_old(monkeypatch):
    monkeypatch.setattr(gap_marks, "KEPT_OFFSETS", 10)
    symbols = SymbolTable()
    gaps([message(), message(gap=True, price=0), message("B", gap=True, price=0)], (), symbols)
    marks = symbols.gap_marks
    assert [marks.rebuild_from(at, at) for at in (3, 11, 12, 13)] == [1, 1, 2, 13]
    assert marks.keys == []


def test_only_the_newest_marks_wait(monkeypatch):
    monkeypatch.setattr(gap_marks, "KEPT_MARKS", 2)
    refused = [message(symbol, gap=True, price=0) for symbol in "ABC"]
    assert gaps([*refused, *map(message, "ABC")]) == [(3, False), (4, True), (5, True)]


entries = st.tuples(
    st.sampled_from("ABC"), st.integers(0, 6) | st.none(), st.booleans(), st.booleans()
)


@settings(max_examples=200)
@given(
    st.lists(entries, max_size=30),
    st.sets(st.integers(1, 29)),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_every_run_that_starts_early_enough_finds_the_same_gaps(entries, cuts, stopped, needed):
    values = [
        message(symbol, trade_id, gap=gap, price=0 if refused else 1)
        for symbol, trade_id, gap, refused in entries
    ]
    with pytest.MonkeyPatch.context() as patch:
        for module in (gap_marks, oracle):
            patch.setattr(module, "KEPT_OFFSETS", 8)
            patch.setattr(module, "KEPT_MARKS", 3)
        patch.setattr(gap_marks, "KEPT_SPANS", 2)
        marks, wanted = Marks(frozenset()), []
        for offset, value in enumerate(values):
            each = validate(value, -1)
            if isinstance(each, Tick):
                wanted.append((offset, marks.accept(offset, each) or each.gap))
            else:
                marks.refuse(offset, value)
        whole = gaps(values, cuts)
        assert whole == wanted
        stopped = min(stopped, len(values))
        needed = min(needed, stopped)
        symbols = SymbolTable()
        gaps(values[:stopped], cuts, symbols)
        start = symbols.gap_marks.rebuild_from(needed, stopped)
        assert start <= min(needed, stopped)
        again = gaps(values, cuts, first=start)
        assert [each for each in again if each[0] >= needed] == [
            each for each in whole if each[0] >= needed
        ]
