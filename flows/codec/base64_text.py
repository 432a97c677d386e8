"""Base64 of float32 values, for compiled code: what ``binascii`` makes of their bytes.

Three values are twelve bytes, and those sixteen characters.
"""

from typing import Any, TypeAlias

import numpy as np

from flows.codec.digits import I64
from flows.codec.places import put
from flows.numeric.arrays import UInt8, UInt32
from flows.numeric.compiled import compilable, inlined

U32: TypeAlias = Any
SIX, EIGHT, TWELVE, SIXTEEN, EIGHTEEN, TWENTY_FOUR = (
    np.uint32(bits) for bits in (6, 8, 12, 16, 18, 24)
)
SIX_BITS, ONE_BYTE = np.uint32(63), np.uint32(0xFF)
NO_BYTES = np.uint32(0)
PADDING = 61  # =


@inlined
def text_length(words: I64) -> I64:
    """Return how many characters so many float32 take."""
    return (4 * words + 2) // 3 * 4


@inlined
def swapped(word: U32) -> U32:
    """Return a word with its lowest byte first, as it is stored."""
    return np.uint32(
        (word << TWENTY_FOUR)
        | ((word & (ONE_BYTE << EIGHT)) << EIGHT)
        | ((word >> EIGHT) & (ONE_BYTE << EIGHT))
        | (word >> TWENTY_FOUR)
    )


@inlined
def put_three_bytes(out: UInt8, at: I64, three: U32, alphabet: UInt8) -> None:
    """Write the lowest 24 bits as four characters."""
    place = np.uint64(at)
    out[place] = alphabet[(three >> EIGHTEEN) & SIX_BITS]
    out[place + np.uint64(1)] = alphabet[(three >> TWELVE) & SIX_BITS]
    out[place + np.uint64(2)] = alphabet[(three >> SIX) & SIX_BITS]
    out[place + np.uint64(3)] = alphabet[three & SIX_BITS]


@compilable
def put_base64(out: UInt8, at: I64, words: UInt32, row: I64, alphabet: UInt8) -> I64:
    """Write a row of float32 values, given as their bits; return where the text ends.

    Parameters
    ----------
    words
        uint32, shape (n, width).
    alphabet
        uint8, shape (64,).
    """
    width = words.shape[1]
    for column in range(0, width - 2, 3):
        first = swapped(words[row, column])
        second = swapped(words[row, column + 1])
        third = swapped(words[row, column + 2])
        put_three_bytes(out, at, first >> EIGHT, alphabet)
        put_three_bytes(out, at + 4, (first << SIXTEEN) | (second >> SIXTEEN), alphabet)
        put_three_bytes(out, at + 8, (second << EIGHT) | (third >> TWENTY_FOUR), alphabet)
        put_three_bytes(out, at + 12, third, alphabet)
        at += 16
    rest = width % 3
    if rest > 0:
        first = swapped(words[row, width - rest])
        second = swapped(words[row, width - 1]) if rest == 2 else NO_BYTES
        put_three_bytes(out, at, first >> EIGHT, alphabet)
        put_three_bytes(out, at + 4, (first << SIXTEEN) | (second >> SIXTEEN), alphabet)
        at += 8
        if rest == 2:
            put_three_bytes(out, at, second << EIGHT, alphabet)
            at += 4
        else:
            put(out, at - 2, PADDING)
        put(out, at - 1, PADDING)
    return at
