"""Coarse windows: sums and ranges over one-second bars of the last hour (how: ``layout``).

``bars`` (int64) and ``bar_values`` (float64) are the ring of bars, ``recent_bars`` (float64) that
of the last 300 s. Within a second only the open bar changes: ``CLOSED`` holds the sums over the
closed bars, and a tick adds the open bar's part.
"""

from flows.features import layout as at
from flows.numeric.arithmetic import log_ratio
from flows.numeric.arrays import Float64, Int64
from flows.numeric.compiled import compilable, inlined
from schemas.features import MEMORY_S

INF = float("inf")


@compilable
def open_bar(ints: Int64, floats: Float64, bars: Int64, s: int, sec: int) -> None:
    """Start the bar of index ``BAR`` at second ``sec``."""
    ints[s, at.BAR_SEC] = sec
    ints[s, at.BAR_SYNC] = at.NO_OFFSET
    j = ints[s, at.BAR_START] + (ints[s, at.BAR] & ints[s, at.BAR_MASK])
    bars[j, at.B_SEC] = sec
    bars[j, at.B_TICKS] = ints[s, at.N_TICKS]
    bars[j, at.B_SIZED_QUOTED] = ints[s, at.N_SIZED_QUOTED]
    floats[s, at.BAR_G] = 0.0
    floats[s, at.BAR_HIGH] = 0.0
    floats[s, at.BAR_LOW] = INF
    floats[s, at.BAR_NOTIONAL] = 0.0
    floats[s, at.BAR_SPREAD] = 0.0


@compilable
def clear_fronts(floats: Float64, s: int, first: int, stop: int) -> None:
    """Empty the fronts of the sums ``first`` to ``stop``."""
    for c in range(first, stop):
        floats[s, at.BAR_FRONT + c] = 0.0


@compilable
def close_bar(
    ints: Int64,
    floats: Float64,
    bars: Int64,
    bar_values: Float64,
    recent_bars: Float64,
    s: int,
) -> None:
    """Store the open bar in the rings and add it to the fronts."""
    k = ints[s, at.BAR]
    j = ints[s, at.BAR_START] + (k & ints[s, at.BAR_MASK])
    i = ints[s, at.RECENT_BAR_START] + (k & ints[s, at.RECENT_BAR_MASK])
    g, notional, spread = (
        floats[s, at.BAR_G],
        floats[s, at.BAR_NOTIONAL],
        floats[s, at.BAR_SPREAD],
    )
    high, low = floats[s, at.BAR_HIGH], floats[s, at.BAR_LOW]
    bars[j, at.B_SYNC] = ints[s, at.BAR_SYNC]
    bar_values[j, at.B_G] = g
    bar_values[j, at.B_NOTIONAL] = notional
    bar_values[j, at.B_SPREAD] = spread
    recent_bars[i, at.RB_HIGH] = high
    recent_bars[i, at.RB_LOW] = low
    f = at.BAR_FRONT
    g2 = g * g
    floats[s, f + at.C60_G2] += g2
    floats[s, f + at.C60_NOTIONAL] += notional
    floats[s, f + at.C60_HIGH] = max(floats[s, f + at.C60_HIGH], high)
    floats[s, f + at.C60_LOW] = min(floats[s, f + at.C60_LOW], low)
    floats[s, f + at.C300_G2] += g2
    gg = abs(g) * abs(floats[s, at.BEFORE_G])
    if k == ints[s, at.BBLOCK300]:
        # Counts only where the bar before it is in the window too.
        floats[s, at.FIRST_GG] = gg
    else:
        floats[s, f + at.C300_GG] += gg
    floats[s, f + at.C300_HIGH] = max(floats[s, f + at.C300_HIGH], high)
    floats[s, f + at.C300_LOW] = min(floats[s, f + at.C300_LOW], low)
    floats[s, f + at.C900_G2] += g2
    floats[s, f + at.C3600_G2] += g2
    floats[s, f + at.C3600_NOTIONAL] += notional
    floats[s, f + at.C3600_SPREAD] += spread
    floats[s, at.BEFORE_CLOSE] = floats[s, at.BAR_CLOSE]
    floats[s, at.BEFORE_G] = g


@compilable
def advance(bars: Int64, start: int, mask: int, tail: int, limit: int) -> int:
    """Return the first bar from ``tail`` on that is newer than second ``limit``."""
    while bars[start + (tail & mask), at.B_SEC] <= limit:
        tail += 1
    return tail


@compilable
def drop_bars(ints: Int64, bars: Int64, s: int, sec: int) -> None:
    """Drop bars that no window can reach, and move the anchor up to the newest sync in them."""
    start, mask = ints[s, at.BAR_START], ints[s, at.BAR_MASK]
    k = ints[s, at.BAR_DROP]
    # A bar more than the window: its close is the first grid return's base, and a run that starts
    # in it has a whole memory behind it now.
    while bars[start + (k & mask), at.B_SEC] < sec - MEMORY_S:
        if bars[start + (k & mask), at.B_SYNC] != at.NO_OFFSET:
            ints[s, at.ANCHOR] = bars[start + (k & mask), at.B_SYNC]
        k += 1
    ints[s, at.BAR_DROP] = k


@compilable
def enter_block_60(
    ints: Int64, floats: Float64, bar_values: Float64, recent_bars: Float64, s: int
) -> None:
    """Store the backs of the 60 s window for the bars before the open one."""
    g2 = notional = high = 0.0
    low = INF
    for k in range(ints[s, at.BAR] - 1, ints[s, at.BTAIL60] - 1, -1):
        j = ints[s, at.BAR_START] + (k & ints[s, at.BAR_MASK])
        i = ints[s, at.RECENT_BAR_START] + (k & ints[s, at.RECENT_BAR_MASK])
        g2 += bar_values[j, at.B_G] * bar_values[j, at.B_G]
        notional += bar_values[j, at.B_NOTIONAL]
        high = max(high, recent_bars[i, at.RB_HIGH])
        low = min(low, recent_bars[i, at.RB_LOW])
        recent_bars[i, at.RB60_G2] = g2
        recent_bars[i, at.RB60_NOTIONAL] = notional
        recent_bars[i, at.RB60_HIGH] = high
        recent_bars[i, at.RB60_LOW] = low
    clear_fronts(floats, s, at.C60_G2, at.C300_G2)
    floats[s, at.BAR_FRONT + at.C60_LOW] = INF


@compilable
def enter_block_300(
    ints: Int64, floats: Float64, bar_values: Float64, recent_bars: Float64, s: int
) -> None:
    """Store the backs of the 300 s window for the bars before the open one."""
    g2 = gg = high = 0.0
    low = INF
    tail = ints[s, at.BTAIL300]
    start, mask = ints[s, at.BAR_START], ints[s, at.BAR_MASK]
    for k in range(ints[s, at.BAR] - 1, tail - 1, -1):
        g = bar_values[start + (k & mask), at.B_G]
        i = ints[s, at.RECENT_BAR_START] + (k & ints[s, at.RECENT_BAR_MASK])
        g2 += g * g
        if k > tail:
            gg += abs(g) * abs(bar_values[start + ((k - 1) & mask), at.B_G])
        high = max(high, recent_bars[i, at.RB_HIGH])
        low = min(low, recent_bars[i, at.RB_LOW])
        recent_bars[i, at.RB300_G2] = g2
        recent_bars[i, at.RB300_GG] = gg
        recent_bars[i, at.RB300_HIGH] = high
        recent_bars[i, at.RB300_LOW] = low
    clear_fronts(floats, s, at.C300_G2, at.C900_G2)
    floats[s, at.BAR_FRONT + at.C300_LOW] = INF
    floats[s, at.FIRST_GG] = 0.0


@compilable
def enter_block_900(ints: Int64, floats: Float64, bar_values: Float64, s: int) -> None:
    """Store the backs of the 900 s window for the bars before the open one."""
    g2 = 0.0
    for k in range(ints[s, at.BAR] - 1, ints[s, at.BTAIL900] - 1, -1):
        j = ints[s, at.BAR_START] + (k & ints[s, at.BAR_MASK])
        g2 += bar_values[j, at.B_G] * bar_values[j, at.B_G]
        bar_values[j, at.B_BACK900] = g2
    clear_fronts(floats, s, at.C900_G2, at.C3600_G2)


@compilable
def enter_block_3600(ints: Int64, floats: Float64, bar_values: Float64, s: int) -> None:
    """Store the backs of the 3,600 s window over the raw values of the bars before the open one."""
    g2 = notional = spread = 0.0
    for k in range(ints[s, at.BAR] - 1, ints[s, at.BTAIL3600] - 1, -1):
        j = ints[s, at.BAR_START] + (k & ints[s, at.BAR_MASK])
        g2 += bar_values[j, at.B_G] * bar_values[j, at.B_G]
        notional += bar_values[j, at.B_NOTIONAL]
        spread += bar_values[j, at.B_SPREAD]
        bar_values[j, at.B_G] = g2
        bar_values[j, at.B_NOTIONAL] = notional
        bar_values[j, at.B_SPREAD] = spread
    clear_fronts(floats, s, at.C3600_G2, at.COARSE_SUMS)


@compilable
def sum_closed(
    ints: Int64, floats: Float64, bars: Int64, bar_values: Float64, recent_bars: Float64, s: int
) -> None:
    """Write front + back of every sum, and the counts before the windows, for the open bar's time.

    The back of |g| |g'| is that of the bar after the tail: its first pair is the tail with it.
    """
    f, c = at.BAR_FRONT, at.CLOSED
    for k in range(at.COARSE_SUMS):
        floats[s, c + k] = floats[s, f + k]
    start, mask = ints[s, at.BAR_START], ints[s, at.BAR_MASK]
    recent_start, recent_mask = ints[s, at.RECENT_BAR_START], ints[s, at.RECENT_BAR_MASK]

    tail = ints[s, at.BTAIL60]
    j = start + (tail & mask)
    ints[s, at.TICKS_BEFORE60] = bars[j, at.B_TICKS]
    ints[s, at.SIZED_QUOTED_BEFORE60] = bars[j, at.B_SIZED_QUOTED]
    if tail < ints[s, at.BBLOCK60]:
        i = recent_start + (tail & recent_mask)
        floats[s, c + at.C60_G2] += recent_bars[i, at.RB60_G2]
        floats[s, c + at.C60_NOTIONAL] += recent_bars[i, at.RB60_NOTIONAL]
        floats[s, c + at.C60_HIGH] = max(floats[s, c + at.C60_HIGH], recent_bars[i, at.RB60_HIGH])
        floats[s, c + at.C60_LOW] = min(floats[s, c + at.C60_LOW], recent_bars[i, at.RB60_LOW])

    tail = ints[s, at.BTAIL300]
    if tail < ints[s, at.BBLOCK300]:
        i = recent_start + (tail & recent_mask)
        floats[s, c + at.C300_G2] += recent_bars[i, at.RB300_G2]
        floats[s, c + at.C300_HIGH] = max(
            floats[s, c + at.C300_HIGH], recent_bars[i, at.RB300_HIGH]
        )
        floats[s, c + at.C300_LOW] = min(floats[s, c + at.C300_LOW], recent_bars[i, at.RB300_LOW])
        floats[s, c + at.C300_GG] += floats[s, at.FIRST_GG]
        if tail + 1 < ints[s, at.BBLOCK300]:
            i = recent_start + ((tail + 1) & recent_mask)
            floats[s, c + at.C300_GG] += recent_bars[i, at.RB300_GG]

    tail = ints[s, at.BTAIL900]
    if tail < ints[s, at.BBLOCK900]:
        floats[s, c + at.C900_G2] += bar_values[start + (tail & mask), at.B_BACK900]

    tail = ints[s, at.BTAIL3600]
    j = start + (tail & mask)
    ints[s, at.TICKS_BEFORE3600] = bars[j, at.B_TICKS]
    ints[s, at.SIZED_QUOTED_BEFORE3600] = bars[j, at.B_SIZED_QUOTED]
    if tail < ints[s, at.BBLOCK3600]:
        floats[s, c + at.C3600_G2] += bar_values[j, at.B_G]
        floats[s, c + at.C3600_NOTIONAL] += bar_values[j, at.B_NOTIONAL]
        floats[s, c + at.C3600_SPREAD] += bar_values[j, at.B_SPREAD]


@compilable
def next_bar(
    ints: Int64,
    floats: Float64,
    bars: Int64,
    bar_values: Float64,
    recent_bars: Float64,
    s: int,
    sec: int,
) -> None:
    """Close the open bar and open that of second ``sec``; the longest window goes last."""
    close_bar(ints, floats, bars, bar_values, recent_bars, s)
    ints[s, at.BAR] += 1
    open_bar(ints, floats, bars, s, sec)
    start, mask = ints[s, at.BAR_START], ints[s, at.BAR_MASK]
    ints[s, at.BTAIL60] = advance(bars, start, mask, ints[s, at.BTAIL60], sec - 60)
    ints[s, at.BTAIL300] = advance(bars, start, mask, ints[s, at.BTAIL300], sec - 300)
    ints[s, at.BTAIL900] = advance(bars, start, mask, ints[s, at.BTAIL900], sec - 900)
    ints[s, at.BTAIL3600] = advance(bars, start, mask, ints[s, at.BTAIL3600], sec - 3600)
    drop_bars(ints, bars, s, sec)
    if sec >= ints[s, at.BEND60]:
        enter_block_60(ints, floats, bar_values, recent_bars, s)
        ints[s, at.BBLOCK60] = ints[s, at.BAR]
        ints[s, at.BEND60] = (sec // 60 + 1) * 60
    if sec >= ints[s, at.BEND300]:
        enter_block_300(ints, floats, bar_values, recent_bars, s)
        ints[s, at.BBLOCK300] = ints[s, at.BAR]
        ints[s, at.BEND300] = (sec // 300 + 1) * 300
    if sec >= ints[s, at.BEND900]:
        enter_block_900(ints, floats, bar_values, s)
        ints[s, at.BBLOCK900] = ints[s, at.BAR]
        ints[s, at.BEND900] = (sec // 900 + 1) * 900
    if sec >= ints[s, at.BEND3600]:
        enter_block_3600(ints, floats, bar_values, s)
        ints[s, at.BBLOCK3600] = ints[s, at.BAR]
        ints[s, at.BEND3600] = (sec // 3600 + 1) * 3600
    sum_closed(ints, floats, bars, bar_values, recent_bars, s)


@inlined
def push(floats: Float64, ints: Int64, s: int, mid: float, notional: float, spread: float) -> None:
    """Add a tick to the open bar; the counts are the caller's."""
    floats[s, at.BAR_CLOSE] = mid
    floats[s, at.BAR_HIGH] = max(floats[s, at.BAR_HIGH], mid)
    floats[s, at.BAR_LOW] = min(floats[s, at.BAR_LOW], mid)
    floats[s, at.BAR_NOTIONAL] += notional
    floats[s, at.BAR_SPREAD] += spread
    if ints[s, at.BAR] > 0:
        floats[s, at.BAR_G] = log_ratio(floats[s, at.BEFORE_CLOSE], mid)
