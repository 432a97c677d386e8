"""Messages by their parts, written by compiled code: the bytes of :mod:`flows.codec.message_parts`.

One pass writes row after row into one buffer. The compiled loop knows no message: it follows a list
of steps, one per part.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from flows.codec import base64_text, digits, float_text, places
from flows.codec.base64_text import put_base64, text_length
from flows.codec.digits import (
    MOST_FLOAT32,
    MOST_FLOAT64,
    ONE,
    NumberTables,
    number_tables,
    put_integer,
    put_null,
)
from flows.codec.float_text import put_float32, put_float64
from flows.codec.message_parts import Chosen, Floats, Integers, Packed, Part, Vectors, rendered
from flows.codec.places import put
from flows.numeric.arrays import Float32, Float64, Int64, UInt8, UInt32, UInt64
from flows.numeric.compiled import Kernel, inlined

TEXT, CHOSEN, INTEGER, INTEGER_OR_NULL, FLOAT, VECTOR, PACKED = range(7)

FEW_ROWS = 64
"""Fewer rows are done sooner without the compiled code, whose call alone costs some 30 µs."""

ROOM_BYTES = 1 << 20
"""Of the first buffer; it doubles where a batch needs more."""

Number = TypeVar("Number", bound=np.generic)


class Steps(NamedTuple):
    """What a row is made of.

    Attributes
    ----------
    steps
        int64, shape (m, 3): kind, then the number of a text or of a column, then for
        ``INTEGER_OR_NULL`` the value that is null.
    text
        uint8: all texts, one after another.
    starts
        int64, shape (t + 1,): where each text begins, and where the last one ends.
    """

    steps: Int64
    text: UInt8
    starts: Int64


class Rows(NamedTuple):
    """The columns, all of n rows.

    Attributes
    ----------
    chosen, integers
        int64, shape (columns, n): numbers of texts, and values.
    floats, bits
        float64 and uint64, shape (columns, n): values, and the same bits.
    vectors
        uint32, shape (n, width): the bits of float32 values; one such part in a message.
    """

    chosen: Int64
    integers: Int64
    floats: Float64
    bits: UInt64
    vectors: UInt32


class Written(NamedTuple):
    """The messages one after another, uint8, and where each row's ends, int64, shape (n,)."""

    data: UInt8
    ends: Int64


Write = Callable[[Steps, Rows, NumberTables, Written, int], int]


@inlined
def put_text(out: UInt8, at: int, text: UInt8, start: int, end: int) -> int:
    """Copy a text; return where it ends."""
    for place in range(np.uint64(start), np.uint64(end)):
        out[np.uint64(at) + (place - np.uint64(start))] = text[place]
    return at + end - start


def write(steps: Steps, rows: Rows, tables: NumberTables, out: Written, first: int) -> int:
    """Write the rows from ``first`` on; return how many are done: fewer than all without room."""
    data, ends = out
    chosen, integers, floats, bits, vectors = rows
    program, text, starts = steps
    width = vectors.shape[1]
    room = len(data)
    at = ends[first - 1] if first > 0 else 0
    for row in range(first, len(ends)):
        here = np.uint64(row)
        for step in range(len(program)):
            kind, which = program[step, 0], np.uint64(program[step, 1])
            if kind <= CHOSEN:
                number = which if kind == TEXT else np.uint64(chosen[which, here])
                start, end = starts[number], starts[number + ONE]
                if room - at < end - start:
                    return row
                at = put_text(data, at, text, start, end)
            elif kind == VECTOR:
                if room - at < width * MOST_FLOAT32:
                    return row
                for column in range(width):
                    at = put_float32(data, at, vectors[here, np.uint64(column)], tables)
                    put(data, at, 44)
                    at += 1
                at -= 1 if width > 0 else 0
            elif kind == PACKED:
                if room - at < text_length(width):
                    return row
                at = put_base64(data, at, vectors, row, tables.alphabet)
            elif room - at < MOST_FLOAT64:
                return row
            elif kind == FLOAT:
                at = put_float64(data, at, floats[which, here], bits[which, here], tables)
            elif kind == INTEGER_OR_NULL and integers[which, here] == program[step, 2]:
                at = put_null(data, at)
            else:
                at = put_integer(data, at, integers[which, here], tables)
        ends[row] = at
    return len(ends)


@cache
def row_writer_kernel() -> Kernel[Write]:
    """Return the kernel that ``write`` is."""
    here = sys.modules[__name__]
    return Kernel(
        f"{__name__}:row_writer_kernel",
        write,
        _example,
        (base64_text, digits, float_text, places, here),
    )


def _example() -> tuple[Steps, Rows, NumberTables, Written, int]:
    i64, i64s = np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
    u8 = np.zeros(0, np.uint8)
    rows = Rows(
        i64s, i64s, np.zeros((0, 0)), np.zeros((0, 0), np.uint64), np.zeros((0, 0), np.uint32)
    )
    return Steps(i64s, _bytes(b""), i64), rows, number_tables(), Written(u8, i64), 0


class RowWriter:
    """Renders parts, by compiled code as soon as that is there; used by a single thread.

    Parameters
    ----------
    form
        Returns the compiled code, None as long as it is not there; by default never.
    """

    def __init__(self, form: Callable[[], Write | None] = lambda: None) -> None:
        self._form = form
        self._data: UInt8 = np.empty(0, np.uint8)

    def __call__(self, parts: Sequence[Part], count: int) -> list[bytes]:
        """Return the messages of ``count`` rows."""
        write = self._form() if count >= FEW_ROWS else None
        if write is None:
            return rendered(parts, count)
        text, ends = self.joined(write, parts, count)
        return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def joined(self, write: Write, parts: Sequence[Part], count: int) -> tuple[bytes, list[int]]:
        """Return the messages one after another, and where each ends."""
        steps, rows = _program(parts, count)
        ends = np.zeros(count, np.int64)
        done = 0
        while True:
            done = write(steps, rows, number_tables(), Written(self._data, ends), done)
            if done == count:
                break
            larger = np.empty(max(2 * len(self._data), ROOM_BYTES), np.uint8)
            larger[: len(self._data)] = self._data
            self._data = larger
        places = ends.tolist()
        return self._data[: places[-1] if places else 0].tobytes(), places


def _program(parts: Sequence[Part], count: int) -> tuple[Steps, Rows]:
    steps: list[tuple[int, int, int]] = []
    texts: list[bytes] = []
    chosen: list[Int64] = []
    integers: list[Int64] = []
    floats: list[Float64] = []
    vectors = np.zeros((count, 0), np.uint32)
    for part in parts:
        match part:
            case bytes():
                steps.append((TEXT, len(texts), 0))
                texts.append(part)
            case Chosen():
                steps.append((CHOSEN, len(chosen), 0))
                few, numbers = _few(part, count)
                chosen.append(numbers + len(texts))
                texts.extend(few)
            case Integers(null=None):
                steps.append((INTEGER, len(integers), 0))
                integers.append(part.values)
            case Integers():
                steps.append((INTEGER_OR_NULL, len(integers), part.null or 0))
                integers.append(part.values)
            case Floats():
                steps.append((FLOAT, len(floats), 0))
                floats.append(part.values)
            case Vectors() | Packed():
                steps.append((VECTOR if isinstance(part, Vectors) else PACKED, 0, 0))
                vectors = _bits(part.values, count)
    stacked = _stacked(floats, np.float64, count)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=starts[1:])
    rows = Rows(
        _stacked(chosen, np.int64, count),
        _stacked(integers, np.int64, count),
        stacked,
        stacked.view(np.uint64),
        vectors,
    )
    return Steps(np.array(steps, np.int64), _bytes(b"".join(texts)), starts), rows


def _few(part: Chosen, count: int) -> tuple[Sequence[bytes], Int64]:
    """Return the texts that are needed, and the number of each row's."""
    if len(part.texts) > count:  # then rather one text per row than all of them
        return list(map(part.texts.__getitem__, part.numbers.tolist())), np.arange(count)
    numbers = np.asarray(part.numbers, np.int64)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(part.texts):
        message = f"a row's text is none of the {len(part.texts)}"
        raise IndexError(message)
    return part.texts, numbers


def _stacked(columns: list[Any], dtype: type[Number], count: int) -> npt.NDArray[Number]:
    stacked = np.empty((len(columns), count), dtype)
    for number, column in enumerate(columns):
        if len(column) != count:
            message = f"a column has {len(column)} rows, not {count}"
            raise ValueError(message)
        stacked[number] = column
    return stacked


def _bits(values: Float32, count: int) -> UInt32:
    if len(values) != count:
        message = f"there are {len(values)} vectors, not {count}"
        raise ValueError(message)
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def _bytes(text: bytes) -> UInt8:
    return np.frombuffer(text, np.uint8)
