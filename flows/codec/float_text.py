"""Floats as JSON text, for compiled code: the fewest digits that come back as the same float.

The text is orjson's, byte for byte. By the method of R. Giulietti, "The Schubfach way to render
doubles": the rounding interval of a float, scaled by the right power of ten, holds at most one
number of one digit less, so that a few products and comparisons find the digits. Most float32 are
done by a shorter calculation, which knows its own error and leaves the rest to that method.
"""

import numpy as np

from flows.codec.digits import (
    ASCII_ZEROS,
    FIRST_POWER,
    FORTY,
    FOUR,
    HALF_BITS,
    I64,
    KEPT_POSITIVE,
    LOW_HALF,
    ONE,
    TEN,
    TWO,
    U64,
    ZERO,
    NumberTables,
    eight_digits,
    last_digit,
    put_decimal,
    put_null,
    put_word,
)
from flows.codec.places import put
from flows.numeric.arrays import UInt8
from flows.numeric.compiled import compilable, inlined

LOW_POINT64, HIGH_POINT64 = -4, 16
LOW_POINT32, HIGH_POINT32 = -5, 13
"""Where the decimal point may stand, counted from the first digit; else there is an exponent."""

FRACTION64, HIDDEN64 = np.uint64(2**52 - 1), np.uint64(2**52)
FRACTION32, HIDDEN32 = np.uint64(2**23 - 1), np.uint64(2**23)
SIGN64, MAGNITUDE64 = np.uint64(63), np.uint64(2**63 - 1)
SIGN32, MAGNITUDE32 = np.uint64(31), np.uint64(2**31 - 1)
INFINITE64, INFINITE32 = np.uint64(0x7FF << 52), np.uint64(0xFF << 23)
SHIFT64, SHIFT32 = np.uint64(52), np.uint64(23)

DECIMALS, SCALE = 8, 1e8
EXACT_DIGITS = 1e15
"""No two decimals of up to 15 digits are the same double."""

POINT_BITS = np.uint64(28)
DIGIT, TEN_DIGITS, HALF_DIGIT = np.uint64(2**28), np.uint64(10 * 2**28), np.uint64(2**27)
BELOW_DIGIT = np.uint64(2**28 - 1)
ERROR, TWICE_ERROR = np.uint64(4), np.uint64(8)
"""More than what the shorter calculation can be off, in its unit of 2**-28 of a digit."""

E6, E7, E8 = np.uint64(10**6), np.uint64(10**7), np.uint64(10**8)
LEADING_ZEROS = np.uint64(0x3030303030302E30)
"""``0.000000``"""


@inlined
def round_to_odd64(high: U64, low: U64, factor: U64) -> U64:
    """Return the product of a 128-bit and a 64-bit number over 2**128; odd where inexact."""
    first_high, _first_low = multiplied(low, factor)
    upper_high, upper_low = multiplied(high, factor)
    middle = upper_low + first_high
    if middle < upper_low:
        upper_high += ONE
    return upper_high | (ONE if middle > ONE else ZERO)


@inlined
def multiplied(a: U64, b: U64) -> tuple[U64, U64]:
    """Return the 128-bit product of two 64-bit numbers: high half, low half."""
    a_high, a_low = a >> HALF_BITS, a & LOW_HALF
    b_high, b_low = b >> HALF_BITS, b & LOW_HALF
    lowest = a_low * b_low
    first = a_high * b_low + (lowest >> HALF_BITS)
    second = a_low * b_high + (first & LOW_HALF)
    high = a_high * b_high + (first >> HALF_BITS) + (second >> HALF_BITS)
    return high, (second << HALF_BITS) | (lowest & LOW_HALF)


@inlined
def round_to_odd32(power: U64, factor: U64) -> U64:
    """Return the product of a 64-bit and a 32-bit number over 2**64; odd where inexact."""
    low = (power & LOW_HALF) * factor
    high = (power >> HALF_BITS) * factor + (low >> HALF_BITS)
    return (high >> HALF_BITS) | (ONE if high & LOW_HALF > ONE else ZERO)


@inlined
def choose(below: U64, value: U64, above: U64, odd: U64) -> tuple[U64, I64]:
    """Return the digits, and how many of the scaled value's were dropped.

    Without a branch: which case holds is as good as random, and a processor loses more by a wrong
    guess than the other cases cost.

    Parameters
    ----------
    below, value, above
        Four times the rounding interval's ends and the value, scaled.
    odd
        1 where the ends belong to the neighbours, 0 where they belong to the value.
    """
    lower, upper = below + odd, above - odd
    digits = value >> TWO
    shorter = digits // TEN
    scaled = shorter * FORTY
    next_shorter_is_in = scaled + FORTY <= upper
    drops = (digits >= TEN) & ((lower <= scaled) != next_shorter_is_in)
    scaled = digits * FOUR
    next_is_in = scaled + FOUR <= upper
    one_is_in = (lower <= scaled) != next_is_in
    middle = scaled + TWO
    rounds_up = (value > middle) | ((value == middle) & (digits & ONE == ONE))
    up = (next_is_in & one_is_in) | (rounds_up & ~one_is_in)
    longer = digits + np.uint64(up)
    shorter += np.uint64(next_shorter_is_in)
    return (shorter if drops else longer), np.int64(drops)


@inlined
def scaling(fraction: U64, biased: I64, bias: I64) -> tuple[I64, I64, I64]:
    """Return a float's power of two, the power of ten of its digits, and the shift between them."""
    q = max(biased, 1) - bias
    closer = fraction == ZERO and biased > 1  # the neighbour below is only half as far
    k = (q * 1262611 - (524031 if closer else 0)) >> 22
    return q, k, q + ((-k * 1741647) >> 19) + 1


@inlined
def put_float64(out: UInt8, at: I64, value: float, bits: U64, tables: NumberTables) -> I64:
    """Write a double, given with its bits; ``null`` if it is not finite. Return where it ends."""
    if bits & MAGNITUDE64 >= INFINITE64:
        return put_null(out, at)
    if bits >> SIGN64 == ONE:
        put(out, at, 45)
        at += 1
        bits &= MAGNITUDE64
        value = -value
    if bits == ZERO:
        put(out, at, 48)
        put(out, at + 1, 46)
        put(out, at + 2, 48)
        return at + 3
    # A decimal of few digits is its own shortest form: a price, most often.
    scaled = value * SCALE
    if scaled < EXACT_DIGITS:
        whole = np.int64(scaled + 0.5)
        if whole > 0 and np.float64(whole) / SCALE == value:
            digits, exponent = np.uint64(whole), -DECIMALS
            return put_decimal(out, at, digits, exponent, LOW_POINT64, HIGH_POINT64, tables)
    fraction, biased = bits & FRACTION64, np.int64(bits >> SHIFT64)
    c = fraction if biased == 0 else fraction | HIDDEN64
    closer = fraction == ZERO and biased > 1
    _q, k, shift = scaling(fraction, biased, 1075)
    high = tables.powers[-k - FIRST_POWER, 0]
    low = tables.powers[-k - FIRST_POWER, 1]
    h = np.uint64(shift)
    below = round_to_odd64(high, low, (FOUR * c - (ONE if closer else TWO)) << h)
    middle = round_to_odd64(high, low, (FOUR * c) << h)
    above = round_to_odd64(high, low, (FOUR * c + TWO) << h)
    digits, dropped = choose(below, middle, above, c & ONE)
    return put_decimal(out, at, digits, k + dropped, LOW_POINT64, HIGH_POINT64, tables)


@inlined
def put_float32(out: UInt8, at: I64, bits32: U64, tables: NumberTables) -> I64:
    """Write a float32, given by its bits; ``null`` if it is not finite. Return where it ends.

    Almost without branches: a processor loses more by a wrong guess than a case costs, and the
    sign, the number of digits and the place of the point are as good as random.
    """
    bits = np.uint64(bits32)
    put(out, at, 45)
    begin = at + np.int64(bits >> SIGN32)
    bits &= MAGNITUDE32
    fraction = bits & FRACTION32
    # Zero, the small ones without a hidden bit, powers of two, and what is not finite.
    if fraction == ZERO or bits < HIDDEN32 or bits >= INFINITE32:
        return put_other_float32(out, at, bits32, tables)
    row = bits >> SHIFT32
    scale, half = tables.scales[row, 0], tables.scales[row, 1]
    c = fraction | HIDDEN32
    value = (scale >> HALF_BITS) * c + (((scale & LOW_HALF) * c) >> HALF_BITS)
    digits = value >> POINT_BITS
    shorter = digits // TEN
    above_shorter = value - shorter * TEN_DIGITS
    below_next = TEN_DIGITS - above_shorter
    above_digit = value & BELOW_DIGIT
    unsure = (
        (above_shorter - half + ERROR <= TWICE_ERROR)
        | (below_next - half + ERROR <= TWICE_ERROR)
        | (above_digit - HALF_DIGIT + ERROR <= TWICE_ERROR)
    )
    next_is_in = below_next < half
    drops = (above_shorter < half) | next_is_in
    shorter += np.uint64(next_is_in)
    digits += np.uint64(above_digit > HALF_DIGIT)
    digits = shorter if drops else digits
    count = 6 + np.int64(digits >= E6) + np.int64(digits >= E7) + np.int64(digits >= E8)
    point = np.int64(tables.scales[row, 2]) - KEPT_POSITIVE + count + np.int64(drops)
    if unsure or point < LOW_POINT32 or point > 8:
        return put_other_float32(out, at, bits32, tables)
    return put_nine(out, begin, digits * tables.tens[9 - count], point)


@compilable
def put_other_float32(out: UInt8, at: I64, bits32: U64, tables: NumberTables) -> I64:
    """Write any float32 by the whole method."""
    bits = np.uint64(bits32)
    if bits & MAGNITUDE32 >= INFINITE32:
        return put_null(out, at)
    if bits >> SIGN32 == ONE:
        put(out, at, 45)
        at += 1
        bits &= MAGNITUDE32
    if bits == ZERO:
        put(out, at, 48)
        put(out, at + 1, 46)
        put(out, at + 2, 48)
        return at + 3
    fraction, biased = bits & FRACTION32, np.int64(bits >> SHIFT32)
    c = fraction if biased == 0 else fraction | HIDDEN32
    closer = fraction == ZERO and biased > 1
    _q, k, shift = scaling(fraction, biased, 150)
    power = tables.powers[-k - FIRST_POWER, 0] + (
        ONE if tables.powers[-k - FIRST_POWER, 1] > ZERO else ZERO
    )
    h = np.uint64(shift)
    below = round_to_odd32(power, (FOUR * c - (ONE if closer else TWO)) << h)
    middle = round_to_odd32(power, (FOUR * c) << h)
    above = round_to_odd32(power, (FOUR * c + TWO) << h)
    digits, dropped = choose(below, middle, above, c & ONE)
    return put_decimal(out, at, digits, k + dropped, LOW_POINT32, HIGH_POINT32, tables)


@inlined
def put_nine(out: UInt8, at: I64, digits: U64, point: I64) -> I64:
    """Write nine digits, the last of them perhaps zeros, with the point after ``point`` of them.

    Most features pass here. Without a branch: the place of the point and the number of zeros are as
    good as random.
    """
    first = digits // TEN
    ninth = digits - first * TEN
    word = eight_digits(first)
    text = word | ASCII_ZEROS
    before = max(point, 0)
    start = at + max(1 - point, 0)
    put_word(out, at, text if point > 0 else LEADING_ZEROS)
    put_word(out, start + before + 1, text >> np.uint64(8 * before))
    put(out, start + 9, np.uint64(48) + ninth)
    put(out, at + max(point, 1), 46)
    last = max(last_digit(word), 8 * np.int64(ninth != ZERO))
    return max(start + last + 1 + np.int64(last >= point), at + point + 2)
