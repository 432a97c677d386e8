"""Named tuples of arrays that the labels' compiled code reads and writes."""

from typing import NamedTuple

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int32, Int64


class Memory(NamedTuple):
    """All state of one partition; columns: ``layout``, and ``recency`` for ``recent``."""

    ints: Int64
    floats: Float64
    links: Int64
    values: Float64
    recent: Int64
    partition: Int64


class Columns(NamedTuple):
    """Rows in order, each column of shape (n,), contiguous."""

    offset: Int64
    symbol_id: Int32
    ts_ns: Int64
    mid: Float64
    late: Bool
    restart: Bool
    gap: Bool


class Output(NamedTuple):
    """Results in the order in which they came to be known, with room for all that are due."""

    number: Int64
    known_row: Int64
    ts_known_ns: Int64
    values: Float64


COLUMN_DTYPES = tuple(np.dtype(code) for code in ("i8", "i4", "i8", "f8", "?", "?", "?"))
