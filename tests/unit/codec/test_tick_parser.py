"""The compiled parser takes a message as msgspec reads it, or leaves it to msgspec."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec import parsed_ticks
from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.parsed_ticks import TickParser
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import KINDS, NAMES, UNKNOWN, tick_parser_kernel
from schemas.ticks import Tick
from tests.fuzz.messages import hostile_messages

NOW_NS = 1_764_000_000_123_456_789
TICK = Tick(
    symbol="BTC-USD",
    venue="coinbase-exchange",
    ts_event_ns=NOW_NS,
    ts_recv_ns=NOW_NS + 5,
    price=64_123.45,
    size=0.00012,
    side=-1,
    bid=64_123.44,
    ask=64_123.46,
    bid_size=1.5,
    ask_size=2.25,
    trade_id=12_345,
    sequence=99,
    gap=True,
)
WHOLE = msgspec.json.encode(TICK)
COLUMNS = [name for name in TickBatch.__dataclass_fields__ if name not in {"partition", "ticks"}]


@pytest.fixture(autouse=True)
def _any_number_of_messages(monkeypatch):
    monkeypatch.setattr(parsed_ticks, "FEW_MESSAGES", 1)


def parser() -> TickParser:
    return TickParser(tick_parser_kernel().compile)


def taken(value: bytes) -> bool:
    """Tell whether one message is taken; if so, hold its columns to msgspec's."""
    symbols = SymbolTable()
    number = symbols.intern("coinbase-exchange", "BTC-USD")
    parsed = parser()([value], symbols)
    if not parsed.taken[0]:
        return False
    tick = msgspec.json.decode(value, type=Tick)
    known = (tick.venue, tick.symbol) == ("coinbase-exchange", "BTC-USD")
    assert parsed.symbol_id[0] == (number if known else UNKNOWN)
    for name, column in parsed.columns.items():
        expected = getattr(tick, name)
        if expected is None:
            expected = math.nan if name in {"size", "bid", "ask", "bid_size", "ask_size"} else -1
        assert column[0] == expected or (math.isnan(expected) and math.isnan(column[0]))
    return True


def assert_same(values: list[bytes], allowed: frozenset[str] = frozenset()) -> None:
    """Decode batches with and without the parser, symbols kept from one to the next."""
    own, other, compiled = SymbolTable(), SymbolTable(), parser()
    for first in range(0, len(values), 300):
        part = values[first : first + 300]
        times = [NOW_NS // 10**6 - 1] * len(part)
        raw = RawBatch(1, part, list(range(first, first + len(part))), times, first + len(part))
        found, dead = decode(raw, own, "ticks.raw", allowed, compiled)
        expected, expected_dead = decode(raw, other, "ticks.raw", allowed)
        assert dead == expected_dead
        assert own.names == other.names
        assert own.learned == other.learned
        for name in COLUMNS:
            column, wanted = getattr(found, name), getattr(expected, name)
            assert column.dtype == wanted.dtype
            np.testing.assert_array_equal(column, wanted)


def test_the_fields_are_those_of_a_tick():
    assert set(KINDS) == set(NAMES)


def test_what_the_product_writes_is_taken():
    assert taken(WHOLE)
    assert taken(msgspec.json.encode(msgspec.structs.replace(TICK, size=None, bid=None, gap=False)))
    assert taken(json.dumps(msgspec.to_builtins(TICK)).encode())


def test_fields_in_any_order_and_fewer_of_them_are_taken():
    fields = list(msgspec.to_builtins(TICK).items())
    for first in range(len(fields)):
        turned = fields[first:] + fields[:first]
        assert taken(msgspec.json.encode(dict(turned)))
        assert taken(msgspec.json.encode(dict(reversed(turned))))
    few = {name: value for name, value in fields if name in {"symbol", "venue", "price"}}
    assert not taken(msgspec.json.encode(few))
    assert taken(msgspec.json.encode({**few, "ts_event_ns": 5}))


def test_every_truncated_message_is_left():
    for length in range(len(WHOLE)):
        assert not taken(WHOLE[:length])


def test_every_byte_changed_to_any_is_read_as_by_msgspec_or_left():
    values = [
        WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
        for at in range(len(WHOLE))
        for byte in b'\x00\x1f "\\,:{}[]0159-+.eEnft\x7f\x80\xff'
    ]
    assert_same(values)


def test_every_byte_left_out_or_doubled_is_read_as_by_msgspec_or_left():
    values = [WHOLE[:at] + WHOLE[at + 1 :] for at in range(len(WHOLE))]
    values += [WHOLE[:at] + WHOLE[at : at + 1] + WHOLE[at:] for at in range(len(WHOLE))]
    assert_same(values)


def with_size(text: str) -> bytes:
    return WHOLE.replace(b'"bid_size":1.5', f'"bid_size":{text}'.encode())


EXACT = """0 0.0 5 5.0 1e2 1E+2 1e-5 9007199254740992 0.00000001 123456.789 1234567890.12345
    9007199254740992e22 1e-22 0e0 null"""
NOT_EXACT = """-1 -0.0 01 1. .5 1e 1e+ +1 1e23 1e-23 9007199254740993 0x1 123456789012345678901
    1.2.3 1_0 NaN Infinity true "1" [1] nul"""


def test_numbers_that_one_rounding_gives_are_taken():
    assert [text for text in EXACT.split() if not taken(with_size(text))] == []


def test_other_numbers_are_left():
    assert [text for text in NOT_EXACT.split() if taken(with_size(text))] == []


INTEGERS = "0 7 100000000000000000 1000000000000000000 9223372036854775799 null"
NO_INTEGERS = """9223372036854775800 9223372036854775807 9223372036854775808 10000000000000000000 -1
    01 1.0 1e3 null1 "1" 99999999999999999999 1000000000000000000000"""


def with_id(text: str) -> bytes:
    return WHOLE.replace(b'"trade_id":12345', f'"trade_id":{text}'.encode())


def test_integers_are_taken():
    assert [text for text in INTEGERS.split() if not taken(with_id(text))] == []


def test_integers_close_to_their_limits_and_other_values_are_left():
    assert [text for text in NO_INTEGERS.split() if taken(with_id(text))] == []


def test_sides():
    texts = ("-1", "0", "1", "2", "-2", "-0", "1.0", "10", "null", "-", '"1"')
    values = [WHOLE.replace(b'"side":-1', f'"side":{text}'.encode()) for text in texts]
    assert [text for text, value in zip(texts, values, strict=True) if taken(value)] == [*texts[:3]]


@pytest.mark.parametrize("name", ["symbol", "venue"])
def test_unusual_texts_are_left(name):
    for text in ("", "x" * 65, "a\\u0041", "caf\u00e9", "a\nb", 'a"b', "\x7f"):
        fields = {**msgspec.to_builtins(TICK), name: text}
        assert not taken(json.dumps(fields, ensure_ascii=False).encode())
    assert taken(json.dumps({**msgspec.to_builtins(TICK), name: "x" * 64}).encode())


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0.0))
def test_any_double_is_read_exactly_or_left(value):
    taken(with_size(repr(value)))


@given(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,4})?", fullmatch=True))
def test_any_text_of_a_number_is_read_exactly_or_left(text):
    taken(with_size(text))


@pytest.mark.parametrize(
    "allowed", [frozenset(), frozenset({"F03-USD"})], ids=["any", "one symbol"]
)
def test_hostile_messages_become_the_same_ticks_and_dead_letters(allowed):
    for seed in range(3):
        assert_same([each.value for each in hostile_messages(seed, 2_000)], allowed)


def test_many_symbols_are_found_by_their_bytes():
    values = [
        msgspec.json.encode(msgspec.structs.replace(TICK, symbol=f"S{number % 700}-USD"))
        for number in range(2_100)
    ]
    assert_same(values)


def test_compiled_code_that_is_not_there_yet_leaves_all():
    assert TickParser(lambda: None)([WHOLE], SymbolTable()) is None
