"""Every kind of bad message has its reason and a sentence; good ones become exact columns."""

import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import NO_TRADE_ID, RawBatch
from flows.codec.decode import MAX_BYTES, decode
from flows.codec.symbols import SymbolTable
from flows.codec.validity import MAX_AHEAD_NS
from flows.numeric.time import NS_PER_S
from schemas.dead_letters import Reason
from schemas.ticks import LATEST_NS, Tick
from tests.oracle.marks import Marks
from tests.oracle.validity import validate

NOW_S = 1_700_000_000
NOW_NS = NOW_S * NS_PER_S
YEAR_S = 366 * 86_400
YEAR_NS = YEAR_S * NS_PER_S
GOOD = {
    "symbol": "BTC-USD",
    "venue": "coinbase-exchange",
    "ts_event_ns": NOW_NS,
    "price": 60000.5,
    "ts_recv_ns": NOW_NS + 100,
    "size": 0.25,
    "side": -1,
    "bid": 60000.0,
    "ask": 60001.0,
    "bid_size": 1.5,
    "ask_size": 2.5,
    "trade_id": 2**62 + 1,
    "gap": True,
}


def message(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def batch(*values: bytes, timestamp_ms: int = NOW_NS // 1_000_000) -> RawBatch:
    offsets = [10 + 2 * at for at in range(len(values))]
    return RawBatch(3, list(values), offsets, [timestamp_ms] * len(values), 10 + 2 * len(values))


def decoded(raw: RawBatch, allowed: frozenset[str] = frozenset()):
    return decode(raw, SymbolTable(), "ticks.raw", allowed)


def test_a_good_message_becomes_exact_columns():
    ticks, dead = decoded(batch(message()))
    assert dead == []
    assert ticks.offset.tolist() == [10]
    assert ticks.ts_event_ns.tolist() == [NOW_NS]
    assert ticks.trade_id.tolist() == [2**62 + 1]
    assert (ticks.price[0], ticks.size[0], ticks.side[0]) == (60000.5, 0.25, -1)
    assert (ticks.bid[0], ticks.ask[0]) == (60000.0, 60001.0)
    assert (ticks.bid_size[0], ticks.ask_size[0]) == (1.5, 2.5)
    assert ticks.gap.tolist() == [True]
    assert ticks.ticks[0].symbol == "BTC-USD"


def test_null_and_absent_are_nan_and_no_trade_id():
    spare = {"symbol": "A", "venue": "b", "ts_event_ns": NOW_NS, "price": 1}
    nulls = dict.fromkeys(("size", "bid", "ask", "bid_size", "ask_size", "trade_id"))
    ticks, dead = decoded(
        batch(json.dumps(spare).encode(), message(**nulls, ts_recv_ns=None), message())
    )
    assert dead == []
    assert ticks.trade_id.tolist() == [NO_TRADE_ID, NO_TRADE_ID, 2**62 + 1]
    for name in ("size", "bid", "ask", "bid_size", "ask_size"):
        assert np.isnan(getattr(ticks, name)).tolist() == [True, True, False]
    assert ticks.side.tolist() == [0, -1, -1]


def test_symbols_keep_their_numbers_over_batches():
    symbols = SymbolTable()
    first, _ = decode(batch(message(), message(symbol="ETH-USD")), symbols, "t", frozenset())
    second, _ = decode(
        batch(message(symbol="ETH-USD"), message(venue="other"), message()),
        symbols,
        "t",
        frozenset(),
    )
    assert first.symbol_id.tolist() == [0, 1]
    assert second.symbol_id.tolist() == [1, 2, 0]


def test_a_refused_symbol_takes_no_number():
    symbols = SymbolTable()
    decode(batch(message(symbol="DOGE")), symbols, "t", frozenset({"BTC-USD"}))
    assert symbols.ids == {}


BAD = [
    (b"not json", Reason.NOT_JSON, "not JSON"),
    (b"", Reason.NOT_JSON, "no value"),
    (message()[:-1], Reason.NOT_JSON, "not JSON"),
    (message() + b"x", Reason.NOT_JSON, "not JSON"),
    (b'{"symbol":"\xff"}', Reason.NOT_JSON, "UTF-8"),
    (b'{"price":NaN}', Reason.NOT_JSON, "not JSON"),
    (b'{"price":"text", oops', Reason.NOT_JSON, "not JSON"),
    (b'{"x":' + b"[" * 60_000, Reason.NOT_JSON, "nested"),
    (b"null", Reason.WRONG_TYPE, "Expected `object`, got `null`"),
    (b"[1]", Reason.WRONG_TYPE, "Expected `object`, got `array`"),
    (message(price="60000.5"), Reason.WRONG_TYPE, 'price is "60000.5"'),
    (message(price=None), Reason.WRONG_TYPE, "price is null"),
    (message(side=2), Reason.WRONG_TYPE, "side is 2"),
    (message(symbol=""), Reason.WRONG_TYPE, 'symbol is ""'),
    (message(symbol="x" * 65), Reason.WRONG_TYPE, "symbol is"),
    (message(ts_event_ns=2**63), Reason.WRONG_TYPE, f"ts_event_ns is {2**63}"),
    (message(ts_recv_ns=-(2**63) - 1), Reason.WRONG_TYPE, f"ts_recv_ns is {-(2**63) - 1}"),
    (message(trade_id=2**64), Reason.WRONG_TYPE, f"trade_id is {2**64}"),
    (message(trade_id=-1), Reason.WRONG_TYPE, "trade_id is -1"),
    (message(sequence=10**30), Reason.WRONG_TYPE, "sequence is 1000"),
    (message(ts_event_ns=1.5), Reason.WRONG_TYPE, "ts_event_ns is 1.5"),
    (b'{"symbol":"A","venue":"b","price":1}', Reason.MISSING_FIELD, "`ts_event_ns`"),
    (b"{}", Reason.MISSING_FIELD, "`symbol`"),
    (message(price=0), Reason.BAD_PRICE, "price is 0.0"),
    (message(price=-2.5), Reason.BAD_PRICE, "price is -2.5"),
    (message(bid=0), Reason.BAD_PRICE, "bid is 0.0"),
    (message(ask=-1.0), Reason.BAD_PRICE, "ask is -1.0"),
    (message().replace(b"60000.5", b"1e400"), Reason.BAD_PRICE, "price is 1e400"),
    (message(bid=60002.0), Reason.CROSSED_BOOK, "bid 60002.0 is above ask 60001.0"),
    (message(size=-0.1), Reason.NEGATIVE_SIZE, "size is -0.1"),
    (message(ask_size=-3), Reason.NEGATIVE_SIZE, "ask_size is -3.0"),
    (
        message(ts_event_ns=NOW_NS + MAX_AHEAD_NS + 101),
        Reason.FUTURE_TIME,
        f"ahead of ts_recv_ns {NOW_NS + 100} and the message's timestamp",
    ),
    (
        message(ts_event_ns=NOW_NS + MAX_AHEAD_NS + 1, ts_recv_ns=None),
        Reason.FUTURE_TIME,
        "ahead of the message's timestamp",
    ),
    (
        message(ts_event_ns=NOW_NS + 3 * YEAR_NS, ts_recv_ns=NOW_NS + 3 * YEAR_NS),
        Reason.FUTURE_TIME,
        "ahead of ts_recv_ns",
    ),
    (
        message(ts_event_ns=LATEST_NS + 1, ts_recv_ns=2**63 - 1),
        Reason.FUTURE_TIME,
        f"ts_event_ns is {LATEST_NS + 1}",
    ),
    (message(ts_event_ns=1_230_767_999_999_999_999), Reason.ANCIENT_TIME, "before 2009-01-01"),
    (message(ts_event_ns=-(2**63)), Reason.ANCIENT_TIME, f"ts_event_ns is {-(2**63)}"),
    (message(pad="x" * MAX_BYTES), Reason.TOO_LARGE, "bytes, more than 65536"),
]


@pytest.mark.parametrize(("value", "reason", "said"), BAD)
def test_a_bad_message_becomes_a_dead_letter(value: bytes, reason: Reason, said: str):
    raw = batch(message(), value, message())
    ticks, [letter] = decoded(raw)
    assert ticks.offset.tolist() == [10, 14]
    assert letter.reason is reason
    assert said in letter.detail
    assert letter.payload == value
    assert (letter.topic, letter.partition, letter.offset) == ("ticks.raw", 3, 12)


FOREIGN = {
    "byte order mark": (b"\xef\xbb\xbf" + message(), "not JSON: begins with a byte order mark"),
    "UTF-16": (message().decode().encode("utf-16"), "looks like UTF-16"),
    "schema registry": (b"\x00\x00\x00\x00\x07" + message(), "wire format of a schema registry"),
    "gzip": (gzip.compress(message()), "looks like gzip"),
    "a zero": (b"\x00", "invalid character"),
    "seconds": (message(ts_event_ns=NOW_NS // 10**9), "these look like seconds"),
    "milliseconds": (message(ts_event_ns=NOW_NS // 10**6), "these look like milliseconds"),
    "microseconds": (message(ts_event_ns=NOW_NS // 10**3), "these look like microseconds"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_other_producers_write_is_told_from_garbage(case: str):
    value, said = FOREIGN[case]
    _ticks, [letter] = decoded(batch(value))
    assert said in letter.detail


def test_symbols_outside_the_list_are_refused():
    raw = batch(message(symbol="DOGE-USD"), message())
    ticks, [letter] = decoded(raw, frozenset({"BTC-USD"}))
    assert ticks.offset.tolist() == [12]
    assert letter.reason is Reason.UNKNOWN_SYMBOL
    assert "'DOGE-USD'" in letter.detail


@pytest.mark.parametrize(
    "value",
    [
        message(bid=60001.0),  # a locked book
        message(size=0, bid_size=0, ask_size=0),
        message(ts_event_ns=NOW_NS + MAX_AHEAD_NS + 100),  # of a clock that is behind
        message(ts_event_ns=1_230_768_000_000_000_000),
        message(sequence=2**63 - 1, unknown={"deep": [1, 2]}),
        message(pad="x" * (MAX_BYTES - len(message(pad="")))),
        b" " + message() + b"\n",
    ],
)
def test_what_is_just_within_the_limits_is_a_tick(value: bytes):
    ticks, dead = decoded(batch(value))
    assert dead == []
    assert len(ticks) == 1


AHEAD = [
    # receive time and Kafka timestamp beside the event time; whether the event is credible
    pytest.param(-10, 0, True, id="the receive clock is ten seconds behind"),
    pytest.param(-86_400, 0, True, id="the receive clock is a day behind"),
    pytest.param(0, -3600, True, id="the log's clock is an hour behind"),
    pytest.param(-120, -120, True, id="the one clock of both is two minutes behind"),
    pytest.param(-301, -301, False, id="the event is far ahead of both clocks"),
    pytest.param(0, -86_401, False, id="the receive clock is a day ahead of the log"),
    pytest.param(0, -YEAR_S, False, id="event and receive clock are a year ahead of the log"),
    pytest.param(-YEAR_S, -YEAR_S, False, id="the event is a year ahead"),
    pytest.param(YEAR_S, YEAR_S, True, id="an old recording"),
    pytest.param(0, None, True, id="no timestamp"),
    pytest.param(-301, None, False, id="ahead of the receive clock, no timestamp"),
    pytest.param(None, -120, True, id="no receive time"),
    pytest.param(None, -301, False, id="ahead of the log, no receive time"),
    pytest.param(None, None, True, id="no clock"),
    pytest.param(1 - NOW_S, 0, True, id="the receive clock was never set"),
    pytest.param(0, 1 - NOW_S, True, id="the log's clock was never set"),
    pytest.param(1 - NOW_S, 1 - NOW_S, True, id="no clock was ever set"),
]


@pytest.mark.parametrize(("received_s", "written_s", "credible"), AHEAD)
def test_event_times_are_held_against_both_clocks(received_s, written_s, credible):
    value = message(ts_recv_ns=None if received_s is None else NOW_NS + received_s * NS_PER_S)
    raw = batch(value, timestamp_ms=-1 if written_s is None else (NOW_S + written_s) * 1000)
    ticks, dead = decoded(raw)
    assert len(ticks) == credible
    assert [each.reason for each in dead] == ([] if credible else [Reason.FUTURE_TIME])
    assert isinstance(validate(value, raw.timestamps_ms[0]), Tick) == credible


def test_the_latest_time_there_is_is_credible_where_no_log_denies_it():
    value = message(ts_event_ns=LATEST_NS, ts_recv_ns=2**63 - 1)
    ticks, dead = decoded(batch(value, timestamp_ms=-1))
    assert (len(ticks), dead) == (1, [])


def test_an_empty_batch_is_an_empty_batch():
    ticks, dead = decoded(RawBatch(0, [], [], [], 7))
    assert (len(ticks), dead) == (0, [])
    assert ticks.symbol_id.dtype == np.int32


def test_letters_of_both_kinds_come_in_offset_order():
    _, dead = decoded(batch(message(price=0), b"x", message(price=0), b"y", message()))
    assert [letter.offset for letter in dead] == [10, 12, 14, 16]


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        [0, -1, 1, 2, 1e308, -0.0, NOW_NS, NOW_NS + MAX_AHEAD_NS + 100, 2**63, "", "A"]
    ),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=1),
)
fields = st.sampled_from([*GOOD, "sequence", "unknown"])


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=30))
    changed = {**GOOD, **draw(st.dictionaries(fields, json_values, max_size=3))}
    for name in draw(st.sets(fields, max_size=1)):
        changed.pop(name, None)
    value = json.dumps(changed).encode()
    if kind == 1:
        at = draw(st.integers(0, len(value) - 1))
        value = value[:at] + draw(st.binary(max_size=2)) + value[at + draw(st.integers(0, 2)) :]
    return value


@given(
    st.lists(st.tuples(hostile(), st.sampled_from([-1, 0, NOW_NS // 10**6])), max_size=12),
    st.sampled_from([frozenset(), frozenset({"BTC-USD", "A"})]),
)
@settings(max_examples=300)
def test_agrees_with_a_check_message_by_message(
    messages: list[tuple[bytes, int]], allowed: frozenset[str]
):
    values = [value for value, _ in messages]
    offsets = list(range(len(values)))
    raw = RawBatch(0, values, offsets, [at for _, at in messages], len(values))
    ticks, dead = decoded(raw, allowed)
    expected = [validate(value, at, allowed) for value, at in messages]
    good = [at for at, each in enumerate(expected) if isinstance(each, Tick)]
    assert ticks.offset.tolist() == good
    assert [letter.offset for letter in dead] == [at for at in offsets if at not in good]
    marks, gaps = Marks(allowed), []
    for at, each in enumerate(expected):
        if isinstance(each, Tick):
            gaps.append(marks.accept(at, each) or each.gap)
        else:
            marks.refuse(at, values[at])
    assert ticks.gap.tolist() == gaps
    for row, at in enumerate(good):
        assert ticks.ticks[row] == expected[at]
        _assert_row_is(ticks, row, expected[at])
    for letter in dead:
        assert letter.reason in expected[letter.offset], letter
        assert letter.payload == values[letter.offset]


def _assert_row_is(ticks, row: int, tick: Tick):
    for name in ("price", "size", "bid", "ask", "bid_size", "ask_size"):
        found, said = float(getattr(ticks, name)[row]), getattr(tick, name)
        assert math.isnan(found) if said is None else found == said
    assert ticks.ts_event_ns[row] == tick.ts_event_ns
    assert ticks.trade_id[row] == (NO_TRADE_ID if tick.trade_id is None else tick.trade_id)
    assert ticks.side[row] == tick.side
