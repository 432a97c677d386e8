"""What the compiled code reads is what the parsers read; what it leaves may be anything."""

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from flows.codec.symbol_index import SymbolIndex
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Messages
from flows.feeds.shapes.learning import INTEGER_NAMES, SYMBOL_SLOT, TIME_SLOT, Slot, slot
from flows.feeds.shapes.scanner import END, NO_SHAPE, Scanned, Shapes, scanner_kernel
from flows.feeds.timestamps import IsoTime

DIGITS = st.text("0123456789", min_size=1, max_size=21)
NUMBERS = st.one_of(
    st.floats(0, 1e20).map(repr),
    st.integers(0, 2**65).map(str),
    st.builds("{}.{}".format, DIGITS, DIGITS),
    st.builds("{}.{}e{}".format, DIGITS, DIGITS, st.integers(-30, 30)),
    st.text("0123456789.eE+- x", max_size=8),
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z".format,
        st.integers(1960, 2300),
        *(st.integers(0, most) for most in (14, 33, 25, 61, 61)),
        st.one_of(st.just(""), st.just("."), DIGITS.map(".{}".format)),
    ),
    st.text("0123456789-:TZ. +", max_size=32),
)


def scan(text: str, kind: Slot) -> Scanned:
    """Scan one line, which is the symbol ``BTC-USD`` and a text in a slot."""
    symbols = SymbolTable()
    symbols.intern("v", "BTC-USD")
    index = SymbolIndex(symbols)
    index.refresh()
    text_between = b"\\"
    parts = np.array([[0, 0, *SYMBOL_SLOT], [0, 1, *kind], [0, 1, END, 0]], np.int64)
    line = b"BTC-USD\\" + text.encode() + b"\\"
    scanned = Scanned(
        np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((6, 1)), np.zeros((6, 1), np.int64)
    )
    lines = Messages(np.frombuffer(line + b"\nv", np.uint8), np.array([len(line)], np.int64))
    shapes = Shapes(np.frombuffer(text_between, np.uint8), parts, np.array([0, 3], np.int64))
    scanner_kernel().compile()(lines, shapes, index.names, 1, scanned)
    return scanned


@given(NUMBERS)
@example("1.5")
@example("9007199254740993")
def test_a_number_is_the_one_that_msgspec_reads(text: str) -> None:
    scanned = scan(text, slot("price"))
    if scanned.shape[0] != NO_SHAPE:
        for encoded in (text.encode(), b'"' + text.encode() + b'"'):
            assert msgspec.json.decode(encoded, type=float, strict=False) == scanned.floats[0, 0]


@given(NUMBERS)
@example("9223372036854775807")
@example("9223372036854775808")
def test_an_id_is_the_one_that_msgspec_reads(text: str) -> None:
    scanned = scan(text, slot("trade_id"))
    found = int(scanned.integers[INTEGER_NAMES.index("trade_id"), 0])
    if scanned.shape[0] != NO_SHAPE:
        assert 0 <= found < 2**63
        for encoded in (text.encode(), b'"' + text.encode() + b'"'):
            assert msgspec.json.decode(encoded, type=int, strict=False) == found


@given(TIMES)
@example("2024-02-29T23:59:59.123456789Z")
@example("2000-02-29T00:00:00Z")
@example("2100-02-29T00:00:00Z")
@example("1970-01-01T00:00:00Z")
@example("2261-12-31T23:59:59.9Z")
def test_a_time_is_the_one_that_the_parsers_read(text: str) -> None:
    scanned = scan(text, TIME_SLOT)
    if scanned.shape[0] != NO_SHAPE:
        assert IsoTime().ns(text) == int(scanned.integers[0, 0])


def test_usual_values_are_taken() -> None:
    for text, kind in (
        ("0.1", slot("price")), ("64000.12345678", slot("price")), ("5", slot("price")),
        ("1700000000000000001", slot("trade_id")), ("0", slot("trade_id")), ("-1", slot("side")),
        ("2026-04-04T21:13:43.528894520Z", TIME_SLOT), ("2026-04-04T21:13:43Z", TIME_SLOT),
    ):  # fmt: skip
        assert scan(text, kind).shape[0] == 0, text
    for text in ("-0", "2", "", "11"):
        assert scan(text, slot("side")).shape[0] == NO_SHAPE
