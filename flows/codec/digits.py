"""Digits, integers and decimals as JSON text, for compiled code.

Nothing here checks for room: the caller sees to it that ``MOST_*`` bytes are left.
"""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from flows.codec.places import byte, put
from flows.numeric.arrays import UInt8, UInt64
from flows.numeric.compiled import compilable, inlined

I64: TypeAlias = Any
U64: TypeAlias = Any
"""Integers of compiled code: numba infers which; to mypy NumPy's and Python's own do not mix."""

MOST_INTEGER = 20
MOST_FLOAT64 = 24
MOST_FLOAT32 = 18
"""Longest texts, bytes: ``-9223372036854775808``, ``-0.0000`` or ``-1.e-308`` with 17 digits,
``-0.00000`` with 9 and a byte that is written beyond the text's end."""

KEPT_POSITIVE = 64

FIRST_POWER, LAST_POWER = -292, 324
"""Exponents of the powers of ten that doubles need; float32 needs -31 to 45."""

# Mixed with a signed integer, an unsigned one becomes a float: in compiled code as in NumPy.
ZERO, ONE, TWO, FOUR, TEN, FORTY = (np.uint64(value) for value in (0, 1, 2, 4, 10, 40))
HUNDRED, TEN_THOUSAND = np.uint64(100), np.uint64(10_000)
HALF_BITS, LOW_HALF = np.uint64(32), np.uint64(2**32 - 1)

ASCII_ZEROS = np.uint64(0x3030303030303030)
PER_HUNDRED, HUNDREDS = np.uint64(10486), np.uint64(0x0000007F0000007F)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
PER_TEN, TENS = np.uint64(103), np.uint64(0x000F000F000F000F)


class NumberTables(NamedTuple):
    """What the writers look up.

    Attributes
    ----------
    powers
        uint64, shape (617, 2): 10**e as a 128-bit integer with its highest bit set, rounded up;
        high half, low half; e from ``FIRST_POWER`` on.
    tens
        uint64, shape (20,): 10**n.
    pairs
        uint8, shape (200,): the digits of 00 to 99.
    scales
        uint64, shape (256, 3), by the exponent's bits of a float32: see ``_scale``.
    alphabet
        uint8, shape (64,): of base64 (RFC 4648, section 4).
    """

    powers: UInt64
    tens: UInt64
    pairs: UInt8
    scales: UInt64
    alphabet: UInt8


@cache
def number_tables() -> NumberTables:
    """Return the tables, made once per process."""
    powers = [divmod(_scaled(e), 2**64) for e in range(FIRST_POWER, LAST_POWER + 1)]
    pairs = "".join(f"{pair:02d}" for pair in range(100)).encode()
    return NumberTables(
        np.array(powers, np.uint64),
        np.array([10**n for n in range(20)], np.uint64),
        np.frombuffer(pairs, np.uint8).copy(),
        np.array([_scale(biased - 150) for biased in range(256)], np.uint64),
        np.frombuffer(_ALPHABET, np.uint8).copy(),
    )


def _scaled(exponent: int) -> int:
    if exponent >= 0:
        power: int = 10**exponent
        shift = power.bit_length() - 128
        return -(-power >> shift) if shift > 0 else power << -shift
    divisor: int = 10**-exponent
    scaled: int = 1 << (127 + divisor.bit_length())
    return -(-scaled // divisor)


def _scale(q: int) -> tuple[int, int, int]:
    """Return what makes digits of a float32's integer: ``2**q / 10**k``, between 1 and 10.

    As a multiple of ``2**-60``, half of it as one of ``2**-28``, and ``k + KEPT_POSITIVE``.
    """
    k = (q * 1262611) >> 22  # floor(q * log10(2))
    ratio = Fraction(2) ** q / Fraction(10) ** k
    return int(ratio * 2**60), int(ratio * 2**27), k + KEPT_POSITIVE


@inlined
def put_digits(out: UInt8, end: I64, digits: U64, count: I64, pairs: UInt8) -> U64:
    """Write the lowest ``count`` digits so that they end before ``end``; return what is left."""
    at = end
    left = count
    while left >= 2:
        rest = digits // HUNDRED
        pair = np.int64(digits - rest * HUNDRED)
        digits = rest
        at -= 2
        put(out, at, byte(pairs, 2 * pair))
        put(out, at + 1, byte(pairs, 2 * pair + 1))
        left -= 2
    if left == 1:
        rest = digits // TEN
        put(out, at - 1, 48 + np.int64(digits - rest * TEN))
        digits = rest
    return digits


@inlined
def count_digits(digits: U64, tens: UInt64) -> I64:
    """Return how many digits a positive number of at most 19 has."""
    count = 9 if digits >= tens[8] else 1
    while digits >= tens[np.uint64(count)]:
        count += 1
    return count


@compilable
def put_integer(out: UInt8, at: I64, value: I64, tables: NumberTables) -> I64:
    """Write an int64; return where it ends."""
    if value == 0:
        put(out, at, 48)
        return at + 1
    if value < 0:
        put(out, at, 45)
        at += 1
        digits = np.uint64(-(value + 1)) + ONE
    else:
        digits = np.uint64(value)
    end = at + count_digits(digits, tables.tens)
    put_digits(out, end, digits, end - at, tables.pairs)
    return end


@compilable
def put_null(out: UInt8, at: I64) -> I64:
    """Write ``null``; return where it ends."""
    put(out, at, 110)
    put(out, at + 1, 117)
    put(out, at + 2, 108)
    put(out, at + 3, 108)
    return at + 4


@compilable
def put_decimal(
    out: UInt8, at: I64, digits: U64, exponent: I64, low: I64, high: I64, tables: NumberTables
) -> I64:
    """Write a positive number of digits times ten to the exponent, without zeros at its end.

    Parameters
    ----------
    low, high
        Where the decimal point may stand, counted from the first digit; outside of that, the
        number gets an exponent.

    Returns
    -------
    Where the text ends.
    """
    while digits % TEN_THOUSAND == ZERO:
        digits //= TEN_THOUSAND
        exponent += 4
    while digits % TEN == ZERO:
        digits //= TEN
        exponent += 1
    pairs = tables.pairs
    count = count_digits(digits, tables.tens)
    point = count + exponent
    if point < low or point > high:
        if count > 1:
            rest = put_digits(out, at + count + 1, digits, count - 1, pairs)
            put(out, at, 48 + np.int64(rest))
            put(out, at + 1, 46)
            at += count + 1
        else:
            put(out, at, 48 + np.int64(digits))
            at += 1
        put(out, at, 101)
        shown = point - 1
        put(out, at + 1, 43)
        if shown < 0:
            put(out, at + 1, 45)
            shown = -shown
        return put_integer(out, at + 2, shown, tables)
    if exponent >= 0:
        end = at + count
        put_digits(out, end, digits, count, pairs)
        for _ in range(exponent):
            put(out, end, 48)
            end += 1
        put(out, end, 46)
        put(out, end + 1, 48)
        return end + 2
    whole = max(point, 1)
    end = at + whole + 1 - exponent
    rest = put_digits(out, end, digits, -exponent, pairs)
    put(out, at + whole, 46)
    if point > 0:
        put_digits(out, at + whole, rest, whole, pairs)
    else:
        put(out, at, 48)
    return end


@inlined
def eight_digits(number: U64) -> U64:
    """Return the eight digits of a number, a byte each, the first one lowest."""
    upper = number // TEN_THOUSAND
    fours = upper | ((number - upper * TEN_THOUSAND) << HALF_BITS)
    upper = ((fours * PER_HUNDRED) >> np.uint64(20)) & HUNDREDS
    twos = upper | ((fours - upper * HUNDRED) << np.uint64(16))
    upper = ((twos * PER_TEN) >> TEN) & TENS
    return upper | ((twos - upper * TEN) << np.uint64(8))


@inlined
def last_digit(word: U64) -> I64:
    """Return the place of the last of eight digits that is not zero; 0 without one."""
    place: I64 = 0
    for other in range(1, 8):
        place += np.int64(word >> np.uint64(8 * other) != ZERO)
    return place


@inlined
def put_word(out: UInt8, at: I64, word: U64) -> None:
    """Write eight bytes, the lowest first: the compiler makes one store of them."""
    place = np.uint64(at)
    out[place] = word
    out[place + np.uint64(1)] = word >> np.uint64(8)
    out[place + np.uint64(2)] = word >> np.uint64(16)
    out[place + np.uint64(3)] = word >> np.uint64(24)
    out[place + np.uint64(4)] = word >> np.uint64(32)
    out[place + np.uint64(5)] = word >> np.uint64(40)
    out[place + np.uint64(6)] = word >> np.uint64(48)
    out[place + np.uint64(7)] = word >> np.uint64(56)
