"""Ticks out of JSON by compiled code, which takes a message or leaves it: it refuses none.

Whatever is unusual is left to msgspec: an unknown or a repeated key, an escape, a sign where none
is usual, a number of too many digits, anything after the object. So what is an error, and what it
is called, is decided in one place.

Floats are exact by W. D. Clinger, "How to read floating point numbers accurately": an integer up to
2**53 times or over a power of ten up to 10**22 is rounded once, and correctly, because both are
doubles without error.

Every byte is read only after a comparison with the message's end.
"""

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from flows.codec import batch, places
from flows.codec.places import byte
from flows.numeric.arrays import Bool, Float64, Int32, Int64, UInt8
from flows.numeric.compiled import Kernel, compilable, inlined
from schemas.ticks import Tick

TEXT, FLOAT, INTEGER, SIDE, GAP = range(5)
KINDS = {
    **dict.fromkeys(("symbol", "venue"), TEXT),
    **dict.fromkeys(("price", "size", "bid", "ask", "bid_size", "ask_size"), FLOAT),
    **dict.fromkeys(("ts_event_ns", "ts_recv_ns", "trade_id", "sequence"), INTEGER),
    "side": SIDE,
    "gap": GAP,
}
"""Kinds of the fields, and by the order within a kind the column of each."""

FIELDS: int = len(KINDS)
NAMES = Tick.__struct_fields__
REQUIRED = sum(1 << NAMES.index(name) for name in ("symbol", "venue", "ts_event_ns", "price"))
SYMBOL, VENUE = 0, 1
TS_EVENT_NS, TS_RECV_NS, TRADE_ID, SEQUENCE = range(4)
FLOATS, INTEGERS = 6, 4

UNKNOWN = -1
"""Number of a symbol that the index does not have."""

NOT_RECEIVED = -1
LEFT = -1
"""Where a value ends that is left to msgspec."""

MOST_TEXT = 64
MOST_DIGITS = 18
SAFE_TENTH = 922_337_203_685_477_580
"""Ten times any number below this, and any digit, is an int64."""
EXACT_INTEGER = 1 << 53
EXACT_POWER = 22
HASH_FACTOR = 16_777_619
HASH_MASK = 2**31 - 1

QUOTE, MINUS, COMMA, POINT, COLON, SPACE, PLUS = (ord(sign) for sign in '"-,.: +')
OPEN, CLOSE, BACKSLASH, SMALL_E, LARGE_E = (ord(sign) for sign in "{}\\eE")
DIGIT_0, DIGIT_9, LAST_PRINTABLE = ord("0"), ord("9"), ord("~")
SMALL_F, SMALL_N, SMALL_T = (ord(sign) for sign in "fnt")


class Messages(NamedTuple):
    """Messages one after another, uint8, read-only; where each ends, int64, shape (n,)."""

    data: UInt8
    ends: Int64


class Names(NamedTuple):
    """What the parser looks up.

    Attributes
    ----------
    keys, key_starts
        uint8, and int64, shape (FIELDS + 1,): names of fields, then ``null``, ``true``, ``false``.
    kinds
        int64, shape (FIELDS, 2): kind and column of each field; -1 where null is no value.
    powers
        float64, shape (23,): 10**n.
    slots
        int32, a power of two of them: a row of ``entries``, or ``UNKNOWN``.
    entries
        int32, shape (m, 4): number of a symbol, where its venue begins in ``text``, where the
        symbol begins, and where it ends.
    text
        uint8: venues and symbols.
    """

    keys: UInt8
    key_starts: Int64
    kinds: Int64
    powers: Float64
    slots: Int32
    entries: Int32
    text: UInt8


class Parsed(NamedTuple):
    """Columns of n rows; only ``taken`` means something in a row that is left.

    Attributes
    ----------
    taken
        bool, shape (n,).
    symbol_id, side
        int64, shape (n,).
    gap
        bool, shape (n,).
    floats
        float64, shape (FLOATS, n), in the order of ``KINDS``; NaN for null.
    integers
        int64, shape (INTEGERS, n), in the order of ``KINDS``; -1 for null.
    """

    taken: Bool
    symbol_id: Int64
    side: Int64
    gap: Bool
    floats: Float64
    integers: Int64


Parse = Callable[[Messages, Names, Parsed], int]


@inlined
def is_here(data: UInt8, at: int, end: int, text: UInt8, first: int, last: int) -> bool:
    """Return whether a message goes on with a part of a text."""
    if end - at < last - first:
        return False
    place = 0
    while place < last - first and byte(data, at + place) == byte(text, first + place):
        place += 1
    return place == last - first


@inlined
def find_key(data: UInt8, at: int, end: int, names: Names, expected: int) -> int:
    """Return the field whose name and closing quote are here; -1 without one."""
    starts = names.key_starts
    for tried in range(FIELDS):
        field = (expected + tried) % FIELDS
        first, last = starts[field], starts[field + 1]
        closing = at + last - first
        ends = closing < end and byte(data, closing) == QUOTE
        if ends and is_here(data, at, end, names.keys, first, last):
            return field
    return -1


@inlined
def end_of_text(data: UInt8, at: int, end: int) -> int:
    """Return where a plain text ends that begins here, before its quote; ``LEFT`` otherwise."""
    first = at
    while at < end and at - first <= MOST_TEXT:
        sign = byte(data, at)
        if sign == QUOTE:
            return at if at > first else LEFT
        if sign < SPACE or sign > LAST_PRINTABLE or sign == BACKSLASH:
            return LEFT
        at += 1
    return LEFT


@inlined
def read_integer(data: UInt8, at: int, end: int) -> tuple[int, int]:
    """Return where an integer ends, and which; ``LEFT`` where it is not up to 19 digits."""
    first = at
    value = 0
    while at < end and DIGIT_0 <= byte(data, at) <= DIGIT_9:
        if at - first >= MOST_DIGITS and (at - first > MOST_DIGITS or value >= SAFE_TENTH):
            return LEFT, 0
        value = value * 10 + (int(byte(data, at)) - DIGIT_0)
        at += 1
    if at == first or (byte(data, first) == DIGIT_0 and at > first + 1):
        return LEFT, 0
    return at, value


@inlined
def read_float(data: UInt8, at: int, end: int, powers: Float64) -> tuple[int, float]:
    """Return where a number ends, and which; ``LEFT`` where it may not be exact by one rounding."""
    first = at
    value = 0
    while at < end and at - first <= MOST_DIGITS and DIGIT_0 <= byte(data, at) <= DIGIT_9:
        value = value * 10 + (int(byte(data, at)) - DIGIT_0)
        at += 1
    digits = at - first
    if digits == 0 or digits > MOST_DIGITS or (byte(data, first) == DIGIT_0 and digits > 1):
        return LEFT, 0.0
    power = 0
    if at < end and byte(data, at) == POINT:
        at += 1
        first = at
        while at < end and at - first <= MOST_DIGITS and DIGIT_0 <= byte(data, at) <= DIGIT_9:
            if digits + at - first >= MOST_DIGITS:
                return LEFT, 0.0
            value = value * 10 + (int(byte(data, at)) - DIGIT_0)
            at += 1
        if at == first:
            return LEFT, 0.0
        power = first - at
    if at < end and (byte(data, at) == SMALL_E or byte(data, at) == LARGE_E):
        at += 1
        negative = at < end and byte(data, at) == MINUS
        if at < end and (byte(data, at) == MINUS or byte(data, at) == PLUS):
            at += 1
        first = at
        exponent = 0
        while at < end and at - first < 3 and DIGIT_0 <= byte(data, at) <= DIGIT_9:
            exponent = exponent * 10 + (int(byte(data, at)) - DIGIT_0)
            at += 1
        if at == first:
            return LEFT, 0.0
        power += -exponent if negative else exponent
    if value > EXACT_INTEGER or power < -EXACT_POWER or power > EXACT_POWER:
        return LEFT, 0.0
    if power < 0:
        return at, float(value) / powers[-power]
    return at, float(value) * powers[power]


@compilable
def find_symbol(data: UInt8, venue: int, symbol: int, long: tuple[int, int], names: Names) -> int:
    """Return the number of a symbol, given where its venue and itself begin, and how long."""
    slots, entries, text = names.slots, names.entries, names.text
    mask = len(slots) - 1
    slot = 0
    for place in range(long[0]):
        slot = ((slot ^ int(byte(data, venue + place))) * HASH_FACTOR) & HASH_MASK
    for place in range(long[1]):
        slot = ((slot ^ int(byte(data, symbol + place))) * HASH_FACTOR) & HASH_MASK
    for _ in range(len(slots)):
        slot &= mask
        row = slots[slot]
        if row == UNKNOWN:
            return UNKNOWN
        begins, between, ends = entries[row, 1], entries[row, 2], entries[row, 3]
        fits = between - begins == long[0] and ends - between == long[1]
        same = fits and is_here(data, venue, venue + long[0], text, begins, between)
        if same and is_here(data, symbol, symbol + long[1], text, between, ends):
            return int(entries[row, 0])
        slot += 1
    return UNKNOWN


@inlined
def parse_tick(data: UInt8, at: int, end: int, names: Names, parsed: Parsed, row: int) -> bool:
    """Write the columns of a row; return whether the message is taken."""
    symbol_ids, sides, gaps = parsed.symbol_id, parsed.side, parsed.gap
    floats, integers = parsed.floats, parsed.integers
    keys, starts, kinds = names.keys, names.key_starts, names.kinds
    for column in range(FLOATS):
        floats[column, row] = math.nan
    for column in range(INTEGERS):
        integers[column, row] = -1
    sides[row] = 0
    gaps[row] = False
    seen = expected = 0
    begins_symbol = begins_venue = long_symbol = long_venue = 0
    if at >= end or byte(data, at) != OPEN:
        return False
    while True:
        at += 1
        if at < end and byte(data, at) == SPACE:
            at += 1
        if at >= end or byte(data, at) != QUOTE:
            return False
        field = find_key(data, at + 1, end, names, expected)
        if field < 0 or (seen >> field) & 1 == 1:
            return False
        seen |= 1 << field
        expected = field + 1
        at += 2 + starts[field + 1] - starts[field]
        if at >= end or byte(data, at) != COLON:
            return False
        at += 1
        if at < end and byte(data, at) == SPACE:
            at += 1
        if at >= end:
            return False
        kind, column = kinds[field, 0], kinds[field, 1]
        sign = byte(data, at)
        if sign == SMALL_N:
            if kinds[field, 2] == 0:
                return False
            if not is_here(data, at, end, keys, starts[FIELDS], starts[FIELDS + 1]):
                return False
            at += 4
        elif kind == TEXT:
            if sign != QUOTE:
                return False
            begins = at + 1
            at = end_of_text(data, begins, end)
            if at == LEFT:
                return False
            if column == SYMBOL:
                begins_symbol, long_symbol = begins, at - begins
            else:
                begins_venue, long_venue = begins, at - begins
            at += 1
        elif kind == FLOAT:
            at, value = read_float(data, at, end, names.powers)
            if at == LEFT:
                return False
            floats[column, row] = value
        elif kind == INTEGER:
            at, number = read_integer(data, at, end)
            if at == LEFT:
                return False
            integers[column, row] = number
        elif kind == SIDE:
            negative = sign == MINUS
            if negative:
                at += 1
            if at >= end or (
                byte(data, at) != DIGIT_0 + 1 and (negative or byte(data, at) != DIGIT_0)
            ):
                return False
            side = int(byte(data, at)) - DIGIT_0
            sides[row] = -side if negative else side
            at += 1
        elif is_here(data, at, end, keys, starts[FIELDS + 1], starts[FIELDS + 2]):
            gaps[row] = True
            at += 4
        elif is_here(data, at, end, keys, starts[FIELDS + 2], starts[FIELDS + 3]):
            at += 5
        else:
            return False
        if at >= end:
            return False
        if byte(data, at) == CLOSE:
            break
        if byte(data, at) != COMMA:
            return False
    if at + 1 != end or seen & REQUIRED != REQUIRED:
        return False
    long = (long_venue, long_symbol)
    symbol_ids[row] = find_symbol(data, begins_venue, begins_symbol, long, names)
    return True


def parse(messages: Messages, names: Names, parsed: Parsed) -> int:
    """Write the columns of all rows; return how many are left to msgspec."""
    data, ends = messages
    start = left = 0
    for row in range(len(ends)):
        end = ends[row]
        taken = parse_tick(data, start, end, names, parsed, row)
        parsed.taken[row] = taken
        left += 0 if taken else 1
        start = end
    return left


@cache
def tick_parser_kernel() -> Kernel[Parse]:
    """Return the kernel that ``parse`` is."""
    here = sys.modules[__name__]
    return Kernel(f"{__name__}:tick_parser_kernel", parse, example, (batch, places, here))


def example() -> tuple[Messages, Names, Parsed]:
    """Return arguments of the kernel, of the right types and without any row."""
    text, i64 = np.frombuffer(b"", np.uint8), np.zeros(0, np.int64)
    truth = np.zeros(0, np.bool_)
    i32, i64s = np.zeros(0, np.int32), np.zeros((0, 0), np.int64)
    names = Names(text, i64, i64s, np.zeros(0), i32, np.zeros((0, 0), np.int32), text)
    parsed = Parsed(truth, i64, i64, truth, np.zeros((0, 0)), i64s)
    return Messages(text, i64), names, parsed
