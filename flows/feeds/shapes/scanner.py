"""Values out of lines whose shape is known, by compiled code, which takes a line or leaves it.

What it takes is read as msgspec and the venues' parsers read it: the functions for numbers are
those of :mod:`flows.codec.tick_parser`. A value that is unusual in any way is left.
"""

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from flows.codec import batch, places, tick_parser
from flows.codec.places import byte
from flows.codec.tick_parser import (
    BACKSLASH,
    DIGIT_0,
    DIGIT_9,
    LAST_PRINTABLE,
    LEFT,
    MINUS,
    MOST_TEXT,
    POINT,
    QUOTE,
    SPACE,
    UNKNOWN,
    Messages,
    Names,
    find_symbol,
    is_here,
    read_float,
    read_integer,
)
from flows.numeric import time as units
from flows.numeric.arrays import Float64, Int64, UInt8
from flows.numeric.compiled import Kernel, compilable, inlined
from flows.numeric.time import NS_PER_S

END, SYMBOL, FLOAT, INTEGER, SIDE, TIME, SKIPPED_TEXT, SKIPPED_NUMBER = range(8)

FLOATS, INTEGERS = 6, 6
NO_SHAPE = -1
MOST_SKIPPED = 4_096
FIRST_YEAR, LAST_YEAR = 1970, 2261
MOST_DECIMALS = 9
DASH, COLON, LARGE_T, LARGE_Z = (ord(sign) for sign in "-:TZ")


class Shapes(NamedTuple):
    """Known shapes.

    Attributes
    ----------
    text
        uint8: all texts, one after another.
    parts
        int64, shape (m, 4): where a text begins and ends, kind and column of the value behind it.
    starts
        int64, shape (shapes + 1,): where in ``parts`` each shape begins.
    """

    text: UInt8
    parts: Int64
    starts: Int64


class Scanned(NamedTuple):
    """Columns of n lines; only ``shape`` means something in a line that is left.

    Attributes
    ----------
    shape
        int64, shape (n,): which it has; ``NO_SHAPE`` where it is left.
    symbol_id
        int64, shape (n,).
    floats
        float64, shape (FLOATS, n): price, size, bid, ask and their sizes; NaN where there is none.
    integers
        int64, shape (INTEGERS, n): time of the event, time of receipt as the frame tells it, trade
        id, message number, side, time of receipt as the line tells it; -1 where there is none.
    """

    shape: Int64
    symbol_id: Int64
    floats: Float64
    integers: Int64


Scan = Callable[[Messages, Shapes, Names, int, Scanned], int]


@inlined
def end_of_skipped(data: UInt8, at: int, end: int) -> int:
    """Return where a plain text ends, which may be empty; ``LEFT`` if it is not plain."""
    first = at
    while at < end and at - first <= MOST_SKIPPED:
        sign = byte(data, at)
        if sign == BACKSLASH:
            return at
        if sign < SPACE or sign > LAST_PRINTABLE or sign == QUOTE:
            return LEFT
        at += 1
    return LEFT


@compilable
def read_digits(data: UInt8, at: int, count: int) -> int:
    """Return a number of so many digits, -1 if they are not; all bytes are within the line."""
    value = 0
    for place in range(at, at + count):
        sign = byte(data, place)
        if sign < DIGIT_0 or sign > DIGIT_9:
            return -1
        value = value * 10 + (int(sign) - DIGIT_0)
    return value


@compilable
def days_since_epoch(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date; -1 if there is no such day."""
    if year < FIRST_YEAR or year > LAST_YEAR or month < 1 or month > 12 or day < 1:
        return -1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 31
    if month == 4 or month == 6 or month == 9 or month == 11:
        length = 30
    elif month == 2:
        length = 29 if leap else 28
    if day > length:
        return -1
    # Years from March on, so that a leap day is a year's last one (E. Reingold, N. Dershowitz).
    shifted = year if month > 2 else year - 1
    since_march = month - 3 if month > 2 else month + 9
    day_of_year = (153 * since_march + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year
    return days - 719_468


@compilable
def read_time(data: UInt8, at: int, end: int) -> tuple[int, int]:
    """Return where ``2026-04-04T21:13:43.528Z`` ends, and its nanoseconds since 1970."""
    if end - at < 20:
        return LEFT, 0
    year, month, day = (
        read_digits(data, at, 4),
        read_digits(data, at + 5, 2),
        read_digits(data, at + 8, 2),
    )
    hour, minute = read_digits(data, at + 11, 2), read_digits(data, at + 14, 2)
    second = read_digits(data, at + 17, 2)
    signs = byte(data, at + 4) == DASH and byte(data, at + 7) == DASH
    signs = signs and byte(data, at + 10) == LARGE_T
    signs = signs and byte(data, at + 13) == COLON and byte(data, at + 16) == COLON
    days = days_since_epoch(year, month, day)
    usable = signs and days >= 0 and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60
    if not usable:
        return LEFT, 0
    value = ((days * 24 + hour) * 60 + minute) * 60 + second
    at += 19
    decimals = 0
    if byte(data, at) == POINT:
        at += 1
        first = at
        while at < end and at - first < MOST_DECIMALS and DIGIT_0 <= byte(data, at) <= DIGIT_9:
            decimals = decimals * 10 + (int(byte(data, at)) - DIGIT_0)
            at += 1
        if at == first:
            return LEFT, 0
        for _ in range(MOST_DECIMALS - (at - first)):
            decimals *= 10
    if at >= end or byte(data, at) != LARGE_Z:
        return LEFT, 0
    return at + 1, value * NS_PER_S + decimals


@inlined
def scan_line(
    data: UInt8,
    at: int,
    end: int,
    shapes: Shapes,
    shape: int,
    names: Names,
    venue: tuple[int, int],
    scanned: Scanned,
    row: int,
) -> bool:
    """Write the columns of a line; return whether it has this shape."""
    floats, integers, symbol_ids = scanned.floats, scanned.integers, scanned.symbol_id
    for column in range(FLOATS):
        floats[column, row] = math.nan
    for column in range(INTEGERS):
        integers[column, row] = -1
    for part in range(shapes.starts[shape], shapes.starts[shape + 1]):
        first, last = shapes.parts[part, 0], shapes.parts[part, 1]
        if not is_here(data, at, end, shapes.text, first, last):
            return False
        at += last - first
        kind, column = shapes.parts[part, 2], shapes.parts[part, 3]
        if kind == END:
            return bool(at == end)
        if kind == FLOAT:
            at, value = read_float(data, at, end, names.powers)
            floats[column, row] = value
        elif kind == INTEGER:
            at, number = read_integer(data, at, end)
            integers[column, row] = number
        elif kind == TIME:
            at, number = read_time(data, at, end)
            integers[column, row] = number
        elif kind == SYMBOL:
            begins = at
            at = end_of_skipped(data, at, end)
            if at == begins or at - begins > MOST_TEXT:
                return False
            if at != LEFT:
                long = (venue[1], at - begins)
                symbol_ids[row] = find_symbol(data, venue[0], begins, long, names)
                if symbol_ids[row] == UNKNOWN:
                    return False
        elif kind == SIDE:
            negative = at < end and byte(data, at) == MINUS
            if negative:
                at += 1
            if at >= end or byte(data, at) < DIGIT_0 or byte(data, at) > DIGIT_0 + 1:
                return False
            side = int(byte(data, at)) - DIGIT_0
            if negative and side == 0:
                return False
            integers[column, row] = -side if negative else side
            at += 1
        elif kind == SKIPPED_TEXT:
            at = end_of_skipped(data, at, end)
        else:
            if at < end and byte(data, at) == MINUS:
                at += 1
            at, _ = read_float(data, at, end, names.powers)
        if at == LEFT:
            return False
    return False


def scan(lines: Messages, shapes: Shapes, names: Names, venue_bytes: int, scanned: Scanned) -> int:
    """Write the columns of all lines; return how many are left.

    Parameters
    ----------
    lines
        Where each ends is the place of its line feed; behind the last one stands the venue's name.
    venue_bytes
        How long that is.
    """
    data, ends = lines
    count = len(shapes.starts) - 1
    start = left = expected = 0
    venue = (len(data) - venue_bytes, venue_bytes)
    for row in range(len(ends)):
        end = ends[row]
        scanned.shape[row] = NO_SHAPE
        for tried in range(count):
            shape = (expected + tried) % count
            if scan_line(data, start, end, shapes, shape, names, venue, scanned, row):
                scanned.shape[row] = expected = shape
                break
        if scanned.shape[row] == NO_SHAPE:
            left += 1
        start = end + 1
    return left


@cache
def scanner_kernel() -> Kernel[Scan]:
    """Return the kernel that ``scan`` is."""
    modules = (batch, units, places, tick_parser, sys.modules[__name__])
    return Kernel(f"{__name__}:scanner_kernel", scan, _example, modules)


def _example() -> tuple[Messages, Shapes, Names, int, Scanned]:
    messages, names, _ = tick_parser.example()
    ints = np.zeros((0, 0), np.int64)
    shapes = Shapes(messages.data, ints, messages.ends)
    scanned = Scanned(messages.ends, messages.ends, np.zeros((0, 0)), ints)
    return messages, shapes, names, 0, scanned
