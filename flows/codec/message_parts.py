"""Messages by their parts: constant text, text of a choice, and columns of numbers.

A message is described once, as a list of parts; ``rendered`` makes the bytes of all rows. orjson
writes the numbers of a column in one call. :mod:`flows.codec.row_writer` does the same by compiled
code, with the same bytes.
"""

import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from flows.numeric.arrays import Float32, Float64, Int64

_ARRAYS = orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True, slots=True)
class Chosen:
    """For each row one of some texts, by its number: integers, shape (n,)."""

    texts: Sequence[bytes]
    numbers: npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Integers:
    """int64, shape (n,); ``null`` where the value is this one."""

    values: Int64
    null: int | None = None


@dataclass(frozen=True, slots=True)
class Floats:
    """float64, shape (n,), finite."""

    values: Float64


@dataclass(frozen=True, slots=True)
class Vectors:
    """float32, shape (n, width): numbers with commas between them, ``null`` for NaN."""

    values: Float32


@dataclass(frozen=True, slots=True)
class Packed:
    """float32, shape (n, width): base64 (RFC 4648, section 4) of each row, little-endian."""

    values: Float32


Part = bytes | Chosen | Integers | Floats | Vectors | Packed


def rendered(parts: Sequence[Part], count: int) -> list[bytes]:
    """Return the messages of ``count`` rows."""
    if count == 0:
        return []
    pieces = [_pieces(part, count) for part in parts]
    return list(map(b"".join, zip(*pieces, strict=True)))


def _pieces(part: Part, count: int) -> Iterable[bytes]:
    match part:
        case bytes():
            return repeat(part, count)
        case Chosen():
            return map(part.texts.__getitem__, part.numbers.tolist())
        case Integers():
            return _integers(part)
        case Floats():
            return _numbers(part.values)
        case Vectors():
            return _vectors(part.values)
        case Packed():
            return _packed(part.values)


def _numbers(column: npt.NDArray[np.generic]) -> list[bytes]:
    return orjson.dumps(np.ascontiguousarray(column), option=_ARRAYS)[1:-1].split(b",")


def _vectors(values: Float32) -> list[bytes]:
    """Write each row's numbers with the fewest digits that come back as the same float32.

    msgspec would write them as doubles: twice the digits, and three times the time.
    """
    return orjson.dumps(np.ascontiguousarray(values), option=_ARRAYS)[2:-2].split(b"],[")


def _packed(values: Float32) -> Iterable[bytes]:
    rows = np.ascontiguousarray(values, "<f4")
    return (binascii.b2a_base64(row.tobytes(), newline=False) for row in rows)


def _integers(part: Integers) -> list[bytes]:
    if part.null is None or (part.values != part.null).all():
        return _numbers(part.values)
    return [b"null" if value == part.null else b"%d" % value for value in part.values.tolist()]
