"""The compiled loop that finds what happened after each row, in one pass over the rows.

For a row at effective time t with mid m, horizon H and sec = floor(t / 1 s): the grid points of
(t, t + H] are the absolute seconds sec + 1 to sec + H, and the mid at a grid point is the newest
at or before it. Volatility is the root of the sum of squared log returns from m to the first grid
point and from each to the next; the return is log(mid at t + H / m). The row's own lookback
volatility is ``grid_vol_3600`` of the feature contract, over the lookback, scaled by
sqrt(H / max(1, min(lookback, seconds since the restart))).

The truth is known with the first row of the symbol later than t + H, so that none at the same time
can change it. It is dropped, NaN, where no row of the symbol lies in (t, t + H], and where a gap or
a restart comes before it is known: the lost ticks may lie in (t, t + H].
"""

import math
import sys
from collections.abc import Callable
from functools import cache

import numpy as np

from flows.numeric import arithmetic, recency
from flows.numeric import time as units
from flows.numeric.arithmetic import log_ratio
from flows.numeric.compiled import Kernel, compilable
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from flows.targets import layout as at
from flows.targets import lists
from flows.targets.lists import append, drop_all, drop_oldest
from flows.targets.types import COLUMN_DTYPES, Columns, Memory, Output

Realize = Callable[[Memory, Columns, Output, int, int, int], int]


@compilable
def report_oldest(
    m: Memory,
    out: Output,
    s: int,
    row: int,
    now: int,
    ratio: float,
    volatility: float,
    forward: float,
) -> None:
    """Write the result of the oldest pending row and drop the row."""
    k = m.partition[at.N_OUT]
    m.partition[at.N_OUT] = k + 1
    m.partition[at.N_PENDING] -= 1
    out.number[k] = m.links[m.ints[s, at.PENDING], at.TOKEN]
    out.known_row[k] = row
    out.ts_known_ns[k] = now
    out.values[k, at.RATIO] = ratio
    out.values[k, at.VOLATILITY] = volatility
    out.values[k, at.RETURN] = forward
    drop_oldest(m, s, at.PENDING)


@compilable
def drop_pending(m: Memory, out: Output, s: int, row: int, now: int) -> None:
    """Report that the truth of a symbol's pending rows will never be known."""
    while m.ints[s, at.PENDING] != at.NONE:
        report_oldest(m, out, s, row, now, np.nan, np.nan, np.nan)


@compilable
def cells_after(m: Memory, s: int, sec: int, horizon_s: int) -> float:
    """Return the sum of squared returns between the grid points ``sec + 1`` and ``sec + H``.

    Cells before the newest one at or before ``sec + 1`` are dropped, since rows come in
    order of time.
    """
    links = m.links
    node = m.ints[s, at.CELLS]
    following = links[node, at.NEXT]
    while following != at.NONE and links[following, at.KEY] <= sec + 1:
        drop_oldest(m, s, at.CELLS)
        node = following
        following = links[node, at.NEXT]
    total = 0.0
    while following != at.NONE and links[following, at.KEY] <= sec + horizon_s:
        total += m.values[following, at.SECOND]
        following = links[following, at.NEXT]
    return total


@compilable
def resolve(
    m: Memory, out: Output, s: int, before: int, row: int, now: int, horizon_s: int
) -> None:
    """Report the rows whose horizon lies before ``now``; ``before`` is the newest time until now.

    Called before the row at ``now`` is added: all cells of the horizon are closed, and the newest
    mid is the one at its end.
    """
    while m.ints[s, at.PENDING] != at.NONE:
        node = m.ints[s, at.PENDING]
        t = m.links[node, at.KEY]
        if now - t <= horizon_s * NS_PER_S:
            break
        if before <= t:
            report_oldest(m, out, s, row, now, np.nan, np.nan, np.nan)
            continue
        sec = t // NS_PER_S
        if m.ints[s, at.SUM_SEC] != sec:
            m.ints[s, at.SUM_SEC] = sec
            m.floats[s, at.SUM] = cells_after(m, s, sec, horizon_s)
        mid = m.values[node, at.VALUE]
        first = log_ratio(mid, m.values[m.ints[s, at.CELLS], at.VALUE])
        volatility = math.sqrt(first * first + m.floats[s, at.SUM])
        usual = m.values[node, at.SECOND]
        ratio = volatility / usual if usual > 0.0 else np.nan
        report_oldest(m, out, s, row, now, ratio, volatility, log_ratio(mid, m.floats[s, at.MID]))


@compilable
def clear(m: Memory, s: int, ts: int, offset: int) -> None:
    """Start a symbol's memory with the row at ``ts``."""
    if m.ints[s, at.ALIVE] == 1:
        drop_all(m, s, at.CELLS)
        drop_all(m, s, at.BARS)
    m.ints[s, at.ALIVE] = 1
    m.ints[s, at.NEWEST] = ts
    m.ints[s, at.STARTED] = ts
    m.ints[s, at.ANCHOR] = offset
    for column in range(at.PENDING, at.WINDOW + 1):
        m.ints[s, column] = at.NONE
    m.ints[s, at.BLOCK] = at.NONE
    m.ints[s, at.BAR_SEC] = ts // NS_PER_S
    m.ints[s, at.BAR_SYNC] = at.NONE
    m.ints[s, at.HAS_BEFORE] = 0
    m.ints[s, at.SUM_SEC] = at.NONE
    for column in range(at.STATE_FLOATS):
        m.floats[s, column] = 0.0


@compilable
def next_bar(m: Memory, s: int, sec: int, lookback_s: int, keep_s: int) -> None:
    """Close the open bar, open that of ``sec``, and move the lookback."""
    node = append(m, s, at.BARS, m.ints[s, at.BAR_SEC], m.ints[s, at.BAR_SYNC])
    g2 = m.floats[s, at.BAR_G2]
    m.values[node, at.VALUE] = g2
    m.floats[s, at.FRONT] += g2
    m.floats[s, at.BEFORE_CLOSE] = m.floats[s, at.MID]
    m.floats[s, at.BAR_G2] = 0.0
    m.ints[s, at.HAS_BEFORE] = 1
    m.ints[s, at.BAR_SEC] = sec
    m.ints[s, at.BAR_SYNC] = at.NONE
    if m.ints[s, at.WINDOW] == at.NONE:
        m.ints[s, at.WINDOW] = node
    oldest = m.ints[s, at.WINDOW]
    while oldest != at.NONE and m.links[oldest, at.KEY] <= sec - lookback_s:
        oldest = m.links[oldest, at.NEXT]
    m.ints[s, at.WINDOW] = oldest
    while m.ints[s, at.BARS] != at.NONE:
        node = m.ints[s, at.BARS]
        if m.links[node, at.KEY] >= sec - keep_s:
            break
        if m.links[node, at.TOKEN] != at.NONE:
            m.ints[s, at.ANCHOR] = m.links[node, at.TOKEN]
        drop_oldest(m, s, at.BARS)
    block = sec // lookback_s * lookback_s
    if block != m.ints[s, at.BLOCK]:
        m.ints[s, at.BLOCK] = block
        enter_block(m, s, sec - lookback_s)


@compilable
def enter_block(m: Memory, s: int, limit: int) -> None:
    """Store the back of every bar later than ``limit``; the front is empty."""
    back = 0.0
    node = m.ints[s, at.BARS_END]
    while node != at.NONE and m.links[node, at.KEY] > limit:
        back += m.values[node, at.VALUE]
        m.values[node, at.SECOND] = back
        node = m.links[node, at.PREVIOUS]
    m.floats[s, at.FRONT] = 0.0


@compilable
def lookback_volatility(m: Memory, s: int, horizon_s: int, lookback_s: int) -> float:
    """Return the lookback's volatility scaled to the horizon; 0 where there is none."""
    if m.ints[s, at.HAS_BEFORE] == 0:
        return 0.0
    total = m.floats[s, at.FRONT]
    oldest = m.ints[s, at.WINDOW]
    if oldest != at.NONE and m.links[oldest, at.KEY] < m.ints[s, at.BLOCK]:
        total += m.values[oldest, at.SECOND]
    total += m.floats[s, at.BAR_G2]
    history_ns = min(m.ints[s, at.NEWEST] - m.ints[s, at.STARTED], lookback_s * NS_PER_S)
    return math.sqrt(total * horizon_s / max(1.0, history_ns / NS_PER_S))


@compilable
def add_mid(m: Memory, s: int, t: int, mid: float, lookback_s: int, keep_s: int) -> None:
    """Put a mid into its bar and its cell."""
    sec = t // NS_PER_S
    if sec != m.ints[s, at.BAR_SEC]:
        next_bar(m, s, sec, lookback_s, keep_s)
    if m.ints[s, at.HAS_BEFORE] == 1:
        g = log_ratio(m.floats[s, at.BEFORE_CLOSE], mid)
        m.floats[s, at.BAR_G2] = g * g
    m.floats[s, at.MID] = mid
    point = -(-t // NS_PER_S)
    node = m.ints[s, at.CELLS_END]
    if node == at.NONE or m.links[node, at.KEY] != point:
        node = append(m, s, at.CELLS, point, at.NONE)
    m.values[node, at.VALUE] = mid
    before = m.links[node, at.PREVIOUS]
    if before != at.NONE:
        r = log_ratio(m.values[before, at.VALUE], mid)
        m.values[node, at.SECOND] = r * r


@compilable
def pass_time(m: Memory, ts: int) -> bool:
    """Add the step to the row at ``ts`` to the time that has passed; return if a minute began.

    Only forward steps of at most an hour count: a clock that is wrong by more makes no time pass.
    """
    last = m.partition[at.LAST_TIME]
    m.partition[at.LAST_TIME] = ts
    if last == at.NO_TIME:
        return False
    if last < ts <= last + at.LARGEST_STEP_NS:
        m.partition[at.ELAPSED] += ts - last
    return bool(ts // NS_PER_MINUTE != last // NS_PER_MINUTE)


@compilable
def end(m: Memory, out: Output, s: int, row: int, now: int) -> None:
    """End a symbol's memory; the truth of its rows will never be known."""
    drop_pending(m, out, s, row, now)
    drop_all(m, s, at.CELLS)
    drop_all(m, s, at.BARS)
    m.ints[s, at.ALIVE] = 0


@compilable
def make_most_recent(m: Memory, out: Output, s: int, row: int, now: int) -> None:
    """Let a symbol be the most recent; end the memory of the oldest where there are too many."""
    if recency.make_newest(m.recent, s):
        if m.partition[at.N_RECENT] < m.partition[at.MAX_RECENT]:
            m.partition[at.N_RECENT] += 1
        else:
            oldest = recency.oldest(m.recent)
            recency.remove(m.recent, oldest)
            if m.ints[oldest, at.ALIVE] == 1:
                end(m, out, oldest, row, now)


@compilable
def forget(m: Memory, out: Output, row: int, now: int) -> None:
    """Drop the symbols without a row for a day; the truth of their rows will never be known.

    A day by the clock of the row at ``now``, which may be wrong, is enough once an hour has passed
    in the partition too: by then the symbol's memory has ended.
    """
    s = recency.oldest(m.recent)
    while s != recency.NONE:
        passed = m.partition[at.ELAPSED] - m.ints[s, at.SEEN_AT]
        if passed <= at.LARGEST_STEP_NS:
            break
        silent = now - m.ints[s, at.SEEN_TIME]
        if m.ints[s, at.ALIVE] == 1 and (
            passed > at.FORGET_AFTER_NS or silent > at.FORGET_AFTER_NS
        ):
            end(m, out, s, row, now)
        s = recency.next_newer(m.recent, s)


def realize(
    m: Memory, columns: Columns, out: Output, first: int, horizon_s: int, lookback_s: int
) -> int:
    """Fold the rows from ``first`` on into the memory; return how many are done.

    Fewer than all where too few nodes are free for the next row.
    """
    # As far back as the lookback of the oldest pending row reaches.
    keep_s = lookback_s + horizon_s
    for i in range(first, len(columns.mid)):
        if m.partition[at.N_FREE] < at.NODES_PER_ROW:
            return i
        mid = columns.mid[i]
        if mid != mid:
            continue
        s, ts, offset = columns.symbol_id[i], columns.ts_ns[i], columns.offset[i]
        if pass_time(m, ts):
            forget(m, out, i, ts)
        make_most_recent(m, out, s, i, ts)
        m.ints[s, at.SEEN_TIME] = ts
        m.ints[s, at.SEEN_AT] = m.partition[at.ELAPSED]
        if m.ints[s, at.ALIVE] == 0:
            clear(m, s, ts, offset)
        elif columns.restart[i]:
            drop_pending(m, out, s, i, ts)
            clear(m, s, ts, offset)
        else:
            before = m.ints[s, at.NEWEST]
            if columns.gap[i]:
                drop_pending(m, out, s, i, max(before, ts))
            elif ts > before:
                resolve(m, out, s, before, i, ts, horizon_s)
            m.ints[s, at.NEWEST] = max(before, ts)
        t = m.ints[s, at.NEWEST]
        add_mid(m, s, t, mid, lookback_s, keep_s)
        if not columns.late[i]:
            m.ints[s, at.BAR_SYNC] = offset
        usual = lookback_volatility(m, s, horizon_s, lookback_s)
        node = append(m, s, at.PENDING, t, m.partition[at.N_ROWS] + i)
        m.partition[at.N_PENDING] += 1
        m.values[node, at.VALUE] = mid
        m.values[node, at.SECOND] = usual
    return len(columns.mid)


@cache
def label_kernel() -> Kernel[Realize]:
    """Return the kernel that ``realize`` is."""
    modules = (units, arithmetic, recency, at, lists, sys.modules[__name__])
    return Kernel(f"{__name__}:label_kernel", realize, _example, modules)


def _example() -> tuple[Memory, Columns, Output, int, int, int]:
    i64, f64, count = np.zeros((0, 0), np.int64), np.zeros((0, 0)), np.zeros(0, np.int64)
    return (
        Memory(i64, f64, i64, f64, i64, count),
        Columns._make(np.zeros(0, dtype) for dtype in COLUMN_DTYPES),
        Output(count, count, count, f64),
        0,
        0,
        0,
    )
