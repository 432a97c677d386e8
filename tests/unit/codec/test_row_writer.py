"""The compiled writer gives the bytes that orjson and msgspec give."""

import base64

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flows.codec import row_writer
from flows.codec.message_parts import Chosen, Floats, Integers, Packed, Part, Vectors, rendered
from flows.codec.row_writer import RowWriter, row_writer_kernel
from flows.numeric.arrays import Int64
from tests.proof.numbers import DOUBLES, differing, float32_of, selected_bits

TEXTS = st.lists(st.binary(max_size=40), min_size=1, max_size=5)
FINITE = {"allow_nan": False, "allow_infinity": False}


def int64s(values: list[int]) -> Int64:
    return np.array(values, np.int64)


@pytest.fixture(scope="module")
def writer() -> RowWriter:
    return RowWriter(row_writer_kernel().compile)


@pytest.fixture(autouse=True)
def _any_number_of_rows(monkeypatch):
    monkeypatch.setattr(row_writer, "FEW_ROWS", 1)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Part], int]:
    count = draw(st.integers(0, 8))
    rows = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)

    def chosen(texts: list[bytes]) -> st.SearchStrategy[Chosen]:
        numbers = st.lists(st.integers(0, len(texts) - 1), min_size=count, max_size=count)
        return st.builds(Chosen, st.just(texts), numbers.map(int64s))

    integers = rows.map(int64s)
    part = st.one_of(
        st.binary(max_size=60),
        TEXTS.flatmap(chosen),
        st.builds(Integers, integers),
        st.builds(Integers, integers.map(lambda values: values % 4 - 1), st.just(-1)),
        st.builds(Floats, arrays.arrays(np.float64, count, elements=st.floats(**FINITE))),
    )
    parts = draw(st.lists(part, max_size=12))
    if draw(st.booleans()):
        width = draw(st.integers(1, 5))
        values = draw(arrays.arrays(np.float32, (count, width), elements=st.floats(width=32)))
        form = draw(st.sampled_from([Vectors, Packed]))
        parts.insert(draw(st.integers(0, len(parts))), form(values))
    return parts or [b"x"], count


@given(tables())
def test_any_parts_become_the_same_bytes(writer, table):
    assert writer(*table) == rendered(*table)


@given(tables(), st.integers(1, 64))
def test_a_full_buffer_is_made_larger_between_two_rows(table, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_writer, "ROOM_BYTES", room)
        assert RowWriter(row_writer_kernel().compile)(*table) == rendered(*table)


@given(arrays.arrays(np.uint32, 50))
def test_any_float32_is_written_as_by_orjson(writer, bits):
    assert differing(writer, bits.view(np.float32)) is None


@given(arrays.arrays(np.float64, 50, elements=st.floats(**FINITE)))
def test_any_double_is_written_as_by_orjson(writer, values):
    assert differing(writer, values) is None


@given(st.lists(st.decimals(places=8, min_value=0, max_value=10**8), min_size=1, max_size=50))
def test_prices_are_written_as_by_orjson(writer, prices):
    assert differing(writer, np.array([float(price) for price in prices])) is None


def test_every_exponent_of_float32_with_many_fractions(writer):
    assert differing(writer, selected_bits(20_000).view(np.float32)) is None


@pytest.mark.parametrize("kind", DOUBLES)
def test_doubles_of_each_kind(writer, kind):
    values = DOUBLES[kind](np.random.default_rng(5), 20_000)
    assert differing(writer, values) is None


def test_a_part_of_the_proof_over_all_float32(writer):
    assert differing(writer, float32_of(0x3F7F0000, 1 << 17)) is None


def test_a_difference_is_told(monkeypatch):
    monkeypatch.setattr(orjson, "dumps", lambda *_values, **_options: b"[1.0,2.5]")
    assert differing(RowWriter(row_writer_kernel().compile), np.array([1.0, 2.0])) == 2.0


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (Chosen([b"a"], int64s([0, 1, 0])), IndexError),
        (Chosen([b"a"], int64s([0, -1, 0])), IndexError),
        (Chosen([b"a"], int64s([0, 0])), ValueError),
        (Integers(np.zeros(1, np.int64)), ValueError),
        (Floats(np.zeros(2)), ValueError),
        (Vectors(np.zeros((2, 4), np.float32)), ValueError),
        (Packed(np.zeros((2, 4), np.float32)), ValueError),
    ],
    ids=[
        "no such text",
        "negative",
        "few texts",
        "few integers",
        "few floats",
        "few vectors",
        "few packed",
    ],
)
def test_parts_that_do_not_fit_are_refused(writer, part, error):
    with pytest.raises(error):
        writer([part], 3)


def test_without_compiled_code_the_messages_are_the_same():
    parts = [b'{"a":', Integers(np.arange(5)), b"}"]
    assert RowWriter()(parts, 5) == rendered(parts, 5) == [b'{"a":%d}' % n for n in range(5)]


@given(arrays.arrays(np.uint32, (3, 7)), st.integers(0, 7))
def test_packed_vectors_are_base64_of_their_little_endian_bytes(writer, bits, width):
    values = np.ascontiguousarray(bits[:, :width]).view(np.float32)
    messages = writer([Packed(values)], 3)
    expected = [b"".join(int(word).to_bytes(4, "little") for word in row[:width]) for row in bits]
    assert [base64.b64decode(message, validate=True) for message in messages] == expected
    assert messages == rendered([Packed(values)], 3)


@pytest.mark.parametrize("width", range(8))
def test_uncompiled_code_packs_the_same_bytes(width):
    values = np.random.default_rng(3).normal(size=(4, width)).astype(np.float32)
    uncompiled = RowWriter(lambda: row_writer_kernel().uncompiled)
    parts = [b"[", Packed(values), b"]"]
    assert uncompiled(parts, 4) == rendered(parts, 4)
