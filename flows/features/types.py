"""Named tuples of arrays that the kernel reads and writes."""

from typing import NamedTuple

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int8, Int32, Int64, UInt8


class Memory(NamedTuple):
    """All state of one partition; columns: ``layout``, and ``recency`` for ``links``.

    ``sums`` and ``factors`` are scratch.
    """

    ints: Int64
    floats: Float64
    ticks: Int64
    values: Float64
    recent: Float64
    bars: Int64
    bar_values: Float64
    recent_bars: Float64
    links: Int64
    partition: Int64
    sums: Float64
    factors: Float64


class Columns(NamedTuple):
    """The columns of a ``TickBatch`` that the kernel reads, each of shape (n,), contiguous."""

    offset: Int64
    symbol_id: Int32
    ts_event_ns: Int64
    price: Float64
    size: Float64
    side: Int8
    bid: Float64
    ask: Float64
    bid_size: Float64
    ask_size: Float64
    trade_id: Int64
    gap: Bool


COLUMN_DTYPES = tuple(
    np.dtype(code)
    for code in ("i8", "i4", "i8", "f8", "f8", "i1", "f8", "f8", "f8", "f8", "i8", "?")
)


class Output(NamedTuple):
    """What the kernel writes: rows of shape (n, F), the rest of shape (n,)."""

    rows: Float64
    flags: UInt8
    mid: Float64
    ts_effective_ns: Int64
