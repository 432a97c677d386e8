"""The compiled loop over a batch: one pass, tick by tick, one row of features for each."""

import math
import sys
from collections.abc import Callable
from functools import cache

import numpy as np

from flows.codec import batch
from flows.codec.batch import DUPLICATE, GAP, LATE, RESTART, WARM
from flows.features import coarse, emit, fine, order
from flows.features import layout as at
from flows.features.types import COLUMN_DTYPES, Columns, Memory, Output
from flows.numeric import arithmetic, recency
from flows.numeric import time as units
from flows.numeric.arithmetic import log_ratio
from flows.numeric.arrays import Float64, Int64
from flows.numeric.compiled import Kernel, compilable, inlined
from flows.numeric.time import NS_PER_S
from schemas import features

Fold = Callable[[Memory, Columns, Output, int], int]


@compilable
def clear(ints: Int64, floats: Float64, bars: Int64, s: int, t: int) -> None:
    """Start a symbol's memory at ``t`` with empty rings and empty windows."""
    for column in range(at.BOOKED_BEFORE, at.TICK_START):
        ints[s, column] = 0
    for column in range(at.STATE_FLOATS):
        floats[s, column] = 0.0
    sec = t // NS_PER_S
    ints[s, at.STARTED] = t
    ints[s, at.GAP_TIME] = t - at.MEMORY_NS
    ints[s, at.END1] = (sec + 1) * NS_PER_S
    ints[s, at.END5] = (sec // 5 + 1) * (5 * NS_PER_S)
    ints[s, at.END30] = (sec // 30 + 1) * (30 * NS_PER_S)
    ints[s, at.END60] = (sec // 60 + 1) * (60 * NS_PER_S)
    ints[s, at.END300] = (sec // 300 + 1) * (300 * NS_PER_S)
    ints[s, at.BEND60] = (sec // 60 + 1) * 60
    ints[s, at.BEND300] = (sec // 300 + 1) * 300
    ints[s, at.BEND900] = (sec // 900 + 1) * 900
    ints[s, at.BEND3600] = (sec // 3600 + 1) * 3600
    for first in (at.BAR_FRONT, at.CLOSED):
        floats[s, first + at.C60_LOW] = math.inf
        floats[s, first + at.C300_LOW] = math.inf
    coarse.open_bar(ints, floats, bars, s, sec)


@inlined
def is_full(ints: Int64, s: int) -> bool:
    """Return whether a ring of the symbol might have no room for another tick."""
    return bool(
        ints[s, at.HEAD] - ints[s, at.TAIL300] > ints[s, at.TICK_MASK]
        or ints[s, at.HEAD] - ints[s, at.TAIL60] > ints[s, at.RECENT_MASK]
        or ints[s, at.BAR] - ints[s, at.BAR_DROP] >= ints[s, at.BAR_MASK]
        or ints[s, at.BAR] - ints[s, at.BTAIL300] >= ints[s, at.RECENT_BAR_MASK]
    )


@inlined
def order_flow(
    floats: Float64, s: int, bid: float, ask: float, bid_size: float, ask_size: float
) -> float:
    """Return level-1 order-flow imbalance of a book against the one in the state."""
    old_bid, old_ask = floats[s, at.BID], floats[s, at.ASK]
    flow = 0.0
    if bid >= old_bid:
        flow += bid_size
    if bid <= old_bid:
        flow -= floats[s, at.BID_SIZE]
    if ask <= old_ask:
        flow -= ask_size
    if ask >= old_ask:
        flow += floats[s, at.ASK_SIZE]
    return flow


def fold(memory: Memory, columns: Columns, out: Output, first: int) -> int:
    """Fold the ticks from ``first`` on into the memory and write a row for each.

    Return how many ticks of the batch are done: fewer than all where a ring has no room for the
    next one.
    """
    ints, floats, ticks, values, recent, bars, bar_values, recent_bars = memory[:8]
    links, partition, sums, factors = memory[8:]
    symbols, times, trade_ids = columns.symbol_id, columns.ts_event_ns, columns.trade_id
    rows, flags, mids, effective = out
    factors_ns = clock_sec = -1
    sin_sec = cos_sec = 0.0
    for i in range(first, len(symbols)):
        s = symbols[i]
        if is_full(ints, s):
            return i
        ts = times[i]
        if order.pass_time(partition, ts):
            order.forget(ints, partition, links, ts)
        order.make_most_recent(ints, partition, links, s)
        ints[s, at.SEEN_TIME] = ts
        ints[s, at.SEEN_AT] = partition[at.ELAPSED]
        follows = order.follows(ints, s, ts, trade_ids[i])
        sync_before = ints[s, at.SYNC]
        status = order.classify(ints, s, ts, trade_ids[i], columns.offset[i])
        t = ints[s, at.NEWEST]
        effective[i] = t
        flag = 0
        if status == order.DUPLICATE:
            partition[at.N_DUPLICATES] += 1
            flags[i] = DUPLICATE
            mids[i] = np.nan
            for column in range(rows.shape[1]):
                rows[i, column] = np.nan
            continue
        if status == order.LATE:
            flag |= LATE
            partition[at.N_LATE] += 1
        elif status >= order.RESTART:
            flag |= RESTART
            if status == order.RESTART:
                partition[at.N_RESTARTS] += 1
            clear(ints, floats, bars, s, t)
        sec = t // NS_PER_S
        if sec != ints[s, at.BAR_SEC]:
            coarse.next_bar(ints, floats, bars, bar_values, recent_bars, s, sec)
        if status < order.RESTART:
            # Not this tick, even if all runs agree on it: a run that starts with it does not know
            # its return, which the next tick's product of returns needs.
            ints[s, at.BAR_SYNC] = sync_before
        # A restart knows no newest id, so none that the tick's own could follow.
        if columns.gap[i] and (status >= order.RESTART or not follows):
            flag |= GAP
            partition[at.N_GAPS] += 1
            ints[s, at.GAP_TIME] = t

        # The tick by itself.
        price, size, side = columns.price[i], columns.size[i], columns.side[i]
        bid, ask = columns.bid[i], columns.ask[i]
        bid_size, ask_size = columns.bid_size[i], columns.ask_size[i]
        quoted = bid == bid and ask == ask
        whole_book = quoted and bid_size == bid_size and ask_size == ask_size
        sized = size == size
        mid = price
        spread_bps = np.nan
        rows[i, emit.SPREAD] = np.nan
        rows[i, emit.IMBALANCE] = np.nan
        rows[i, emit.MICROPRICE_DEV_BPS] = np.nan
        if quoted:
            mid = 0.5 * (bid + ask)
            if mid == np.inf:  # no sooner: half of the smallest number is zero
                mid = 0.5 * bid + 0.5 * ask
            rows[i, emit.SPREAD] = ask - bid
            spread_bps = 1e4 * (ask - bid) / mid
        rows[i, emit.SPREAD_BPS] = spread_bps
        booked = whole_book and bid_size + ask_size > 0.0
        imbalance = 0.0
        if booked:
            depth = bid_size + ask_size
            imbalance = (bid_size - ask_size) / depth
            rows[i, emit.IMBALANCE] = imbalance
            # The microprice lies (ask - bid) / 2 * imbalance above the mid.
            rows[i, emit.MICROPRICE_DEV_BPS] = 0.5 * spread_bps * imbalance
        notional = price * size if sized else 0.0

        # Against the tick before it, into the ring.
        head = ints[s, at.HEAD]
        j = ints[s, at.TICK_START] + (head & ints[s, at.TICK_MASK])
        ticks[j, at.T] = t
        ticks[j, at.SIZED_SIDED] = ints[s, at.N_SIZED_SIDED]
        ticks[j, at.QUOTED_BOOKED] = ints[s, at.N_QUOTED_BOOKED]
        ticks[j, at.FLOWS] = ints[s, at.N_FLOWS]
        fine.move_windows(ints, floats, ticks, values, recent, s, t)
        r = d = flow = 0.0
        if head > 0:
            r = log_ratio(floats[s, at.MID], mid)
            d = log_ratio(floats[s, at.PRICE], price)
        if whole_book and ints[s, at.BOOKED_BEFORE] == 1:
            flow = order_flow(floats, s, bid, ask, bid_size, ask_size)
            ints[s, at.N_FLOWS] += 1
        values[j, at.R] = r
        values[j, at.D] = d
        values[j, at.DD] = d * floats[s, at.LAST_D]
        values[j, at.NOTIONAL] = notional
        values[j, at.SIZE] = size if sized else 0.0
        values[j, at.SIGNED] = side * notional
        values[j, at.SPREAD] = spread_bps if quoted else 0.0
        values[j, at.IMBALANCE] = imbalance
        values[j, at.FLOW] = flow
        fine.push(floats, values, s, j)
        coarse.push(floats, ints, s, mid, notional, spread_bps if quoted else 0.0)

        ints[s, at.HEAD] = head + 1
        ints[s, at.N_TICKS] += 1
        ints[s, at.N_SIZED_SIDED] += (1 if sized else 0) + (at.HIGH if sized and side != 0 else 0)
        ints[s, at.N_QUOTED_BOOKED] += (1 if quoted else 0) + (at.HIGH if booked else 0)
        ints[s, at.N_SIZED_QUOTED] += (1 if sized else 0) + (at.HIGH if quoted else 0)
        ints[s, at.BOOKED_BEFORE] = 1 if whole_book else 0
        floats[s, at.PRICE] = price
        floats[s, at.MID] = mid
        floats[s, at.LAST_D] = d
        floats[s, at.BID] = bid
        floats[s, at.ASK] = ask
        floats[s, at.BID_SIZE] = bid_size
        floats[s, at.ASK_SIZE] = ask_size

        # The row.
        history_ns = min(t - ints[s, at.STARTED], at.MEMORY_NS)
        history_s = history_ns / NS_PER_S
        if history_ns >= at.WARM_AFTER_NS:
            flag |= WARM
        if history_ns != factors_ns:
            factors_ns = history_ns
            emit.write_factors(history_s, factors)
        fine.read(ints, floats, values, recent, s, sums)
        emit.write_returns(ints, s, sums, rows, i)
        emit.write_roll(ints, s, sums, rows, i)
        emit.write_trades(ints, ticks, s, sums, factors, mid, rows, i)
        emit.write_bars(ints, floats, s, factors, spread_bps, rows, i)
        emit.write_volatilities(factors, rows, i)
        if sec != clock_sec:
            clock_sec = sec
            angle = emit.SECOND_ANGLE * (sec % 86_400)
            sin_sec, cos_sec = math.sin(angle), math.cos(angle)
        emit.write_clock(t, sec, sin_sec, cos_sec, rows, i)
        rows[i, emit.GAP_AGE_S] = min(t - ints[s, at.GAP_TIME], at.MEMORY_NS) / NS_PER_S
        rows[i, emit.HISTORY_S] = history_s
        flags[i] = flag
        mids[i] = mid
    return len(symbols)


@cache
def feature_kernel() -> Kernel[Fold]:
    """Return the kernel that ``fold`` is."""
    here = sys.modules[__name__]
    modules = (batch, features, units, arithmetic, recency, at, order, fine, coarse, emit, here)
    return Kernel(f"{__name__}:feature_kernel", fold, _example, modules)


def _example() -> tuple[Memory, Columns, Output, int]:
    i64, f64, row = np.zeros((0, 0), np.int64), np.zeros((0, 0)), np.zeros(0)
    count = np.zeros(0, np.int64)
    return (
        Memory(i64, f64, i64, f64, f64, i64, f64, f64, i64, count, row, row),
        Columns._make(np.zeros(0, dtype) for dtype in COLUMN_DTYPES),
        Output(f64, np.zeros(0, np.uint8), row, count),
        0,
    )
