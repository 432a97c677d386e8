"""Fine windows: sums over the ticks of the last 1 to 300 seconds (how: ``layout``).

Array arguments are the same all through the kernel: ``ints``, int64, shape (symbols, STATE_INTS),
and ``floats``, float64, shape (symbols, STATE_FLOATS), the state per symbol; ``ticks`` (int64) and
``values`` (float64), the ring of ticks; ``recent`` (float64), the ring of recent ticks' backs.
"""

from flows.features import layout as at
from flows.numeric.arrays import Float64, Int64
from flows.numeric.compiled import compilable, inlined
from flows.numeric.time import NS_PER_S


@inlined
def advance(ticks: Int64, start: int, mask: int, tail: int, limit: int) -> int:
    """Return the first tick from ``tail`` on that is newer than ``limit``."""
    while ticks[start + (tail & mask), at.T] <= limit:
        tail += 1
    return tail


@compilable
def enter_block_60(
    ints: Int64, floats: Float64, values: Float64, recent: Float64, s: int, tail: int
) -> None:
    """Store the backs of the 60 s window for the ticks before the newest one."""
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    to, to_mask = ints[s, at.RECENT_START], ints[s, at.RECENT_MASK]
    r = r2 = notional = signed = sided = size = spread = imbalance = flow = abs_flow = 0.0
    for k in range(ints[s, at.HEAD] - 1, tail - 1, -1):
        j = start + (k & mask)
        i = to + (k & to_mask)
        r += values[j, at.R]
        r2 += values[j, at.R] * values[j, at.R]
        notional += values[j, at.NOTIONAL]
        signed += values[j, at.SIGNED]
        sided += abs(values[j, at.SIGNED])
        size += values[j, at.SIZE]
        spread += values[j, at.SPREAD]
        imbalance += values[j, at.IMBALANCE]
        flow += values[j, at.FLOW]
        abs_flow += abs(values[j, at.FLOW])
        recent[i, at.S60_R] = r
        recent[i, at.S60_R2] = r2
        recent[i, at.S60_NOTIONAL] = notional
        recent[i, at.S60_SIGNED] = signed
        recent[i, at.S60_SIDED] = sided
        recent[i, at.S60_SIZE] = size
        recent[i, at.S60_SPREAD] = spread
        recent[i, at.S60_IMBALANCE] = imbalance
        recent[i, at.S60_FLOW] = flow
        recent[i, at.S60_ABS_FLOW] = abs_flow
    for c in range(at.S60_R, at.S60_ABS_FLOW + 1):
        floats[s, at.FRONT + c] = 0.0


@compilable
def enter_block_300(ints: Int64, floats: Float64, values: Float64, s: int, tail: int) -> None:
    """Store the backs of the 300 s window over the raw values of the ticks before the newest."""
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    r = d = dd = notional = r2 = signed = sided = down = abs_r = 0.0
    for k in range(ints[s, at.HEAD] - 1, tail - 1, -1):
        j = start + (k & mask)
        tick_r = values[j, at.R]
        r += tick_r
        r2 += tick_r * tick_r
        if tick_r < 0.0:
            down += tick_r * tick_r
        abs_r += abs(tick_r)
        d += values[j, at.D]
        dd += values[j, at.DD]
        notional += values[j, at.NOTIONAL]
        signed += values[j, at.SIGNED]
        sided += abs(values[j, at.SIGNED])
        values[j, at.S300_R - at.LONG] = r
        values[j, at.S300_D - at.LONG] = d
        values[j, at.S300_DD - at.LONG] = dd
        values[j, at.S300_NOTIONAL - at.LONG] = notional
        values[j, at.S300_R2 - at.LONG] = r2
        values[j, at.S300_SIGNED - at.LONG] = signed
        values[j, at.S300_SIDED - at.LONG] = sided
        values[j, at.S300_DOWN - at.LONG] = down
        values[j, at.S300_ABS_R - at.LONG] = abs_r
    for c in range(at.S300_R, at.S300_ABS_R + 1):
        floats[s, at.FRONT + c] = 0.0


@compilable
def enter_block_5(
    ints: Int64, floats: Float64, values: Float64, recent: Float64, s: int, tail: int
) -> None:
    """Store the backs of the 5 s window for the ticks before the newest one."""
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    to, to_mask = ints[s, at.RECENT_START], ints[s, at.RECENT_MASK]
    r = r2 = imbalance = flow = abs_flow = 0.0
    for k in range(ints[s, at.HEAD] - 1, tail - 1, -1):
        j = start + (k & mask)
        i = to + (k & to_mask)
        r += values[j, at.R]
        r2 += values[j, at.R] * values[j, at.R]
        imbalance += values[j, at.IMBALANCE]
        flow += values[j, at.FLOW]
        abs_flow += abs(values[j, at.FLOW])
        recent[i, at.S5_R] = r
        recent[i, at.S5_R2] = r2
        recent[i, at.S5_IMBALANCE] = imbalance
        recent[i, at.S5_FLOW] = flow
        recent[i, at.S5_ABS_FLOW] = abs_flow
    for c in range(at.S5_R, at.S5_ABS_FLOW + 1):
        floats[s, at.FRONT + c] = 0.0


@compilable
def enter_block_r(
    ints: Int64,
    floats: Float64,
    values: Float64,
    recent: Float64,
    s: int,
    tail: int,
    first: int,
    count: int,
) -> None:
    """Store the backs of r, and of r^2 if ``count`` is 2, at the columns from ``first`` on."""
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    to, to_mask = ints[s, at.RECENT_START], ints[s, at.RECENT_MASK]
    r = r2 = 0.0
    for k in range(ints[s, at.HEAD] - 1, tail - 1, -1):
        tick_r = values[start + (k & mask), at.R]
        r += tick_r
        r2 += tick_r * tick_r
        i = to + (k & to_mask)
        recent[i, first] = r
        if count == 2:
            recent[i, first + 1] = r2
    for c in range(first, first + count):
        floats[s, at.FRONT + c] = 0.0


@compilable
def enter_blocks(
    ints: Int64, floats: Float64, values: Float64, recent: Float64, s: int, t: int
) -> None:
    """Start a block of 1 s with the newest tick, and of every longer window that starts one here.

    The longest window goes last: it overwrites what the others read.
    """
    head = ints[s, at.HEAD]
    enter_block_r(ints, floats, values, recent, s, ints[s, at.TAIL1], at.S1_R, 1)
    ints[s, at.BLOCK1] = head
    ints[s, at.END1] = (t // NS_PER_S + 1) * NS_PER_S
    if t < ints[s, at.END5]:
        return
    enter_block_5(ints, floats, values, recent, s, ints[s, at.TAIL5])
    ints[s, at.BLOCK5] = head
    ints[s, at.END5] = (t // (5 * NS_PER_S) + 1) * (5 * NS_PER_S)
    if t < ints[s, at.END30]:
        return
    enter_block_r(ints, floats, values, recent, s, ints[s, at.TAIL30], at.S30_R, 2)
    ints[s, at.BLOCK30] = head
    ints[s, at.END30] = (t // (30 * NS_PER_S) + 1) * (30 * NS_PER_S)
    if t < ints[s, at.END60]:
        return
    enter_block_60(ints, floats, values, recent, s, ints[s, at.TAIL60])
    ints[s, at.BLOCK60] = head
    ints[s, at.END60] = (t // (60 * NS_PER_S) + 1) * (60 * NS_PER_S)
    if t < ints[s, at.END300]:
        return
    enter_block_300(ints, floats, values, s, ints[s, at.TAIL300])
    ints[s, at.BLOCK300] = head
    ints[s, at.END300] = (t // (300 * NS_PER_S) + 1) * (300 * NS_PER_S)


@inlined
def move_windows(
    ints: Int64, floats: Float64, ticks: Int64, values: Float64, recent: Float64, s: int, t: int
) -> None:
    """Bring tails and blocks to the tick at ``t``, which lies at ``HEAD`` of the ring already."""
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    ints[s, at.TAIL1] = advance(ticks, start, mask, ints[s, at.TAIL1], t - NS_PER_S)
    ints[s, at.TAIL5] = advance(ticks, start, mask, ints[s, at.TAIL5], t - 5 * NS_PER_S)
    ints[s, at.TAIL30] = advance(ticks, start, mask, ints[s, at.TAIL30], t - 30 * NS_PER_S)
    ints[s, at.TAIL60] = advance(ticks, start, mask, ints[s, at.TAIL60], t - 60 * NS_PER_S)
    ints[s, at.TAIL300] = advance(ticks, start, mask, ints[s, at.TAIL300], t - 300 * NS_PER_S)
    if t >= ints[s, at.END1]:
        enter_blocks(ints, floats, values, recent, s, t)


@inlined
def push(floats: Float64, values: Float64, s: int, j: int) -> None:
    """Add the raw values in row ``j`` of the ring of ticks to the fronts of all windows."""
    f = at.FRONT
    r, signed, flow = values[j, at.R], values[j, at.SIGNED], values[j, at.FLOW]
    imbalance, notional = values[j, at.IMBALANCE], values[j, at.NOTIONAL]
    r2 = r * r
    floats[s, f + at.S1_R] += r
    floats[s, f + at.S5_R] += r
    floats[s, f + at.S5_R2] += r2
    floats[s, f + at.S5_IMBALANCE] += imbalance
    floats[s, f + at.S5_FLOW] += flow
    floats[s, f + at.S5_ABS_FLOW] += abs(flow)
    floats[s, f + at.S30_R] += r
    floats[s, f + at.S30_R2] += r2
    floats[s, f + at.S60_R] += r
    floats[s, f + at.S60_R2] += r2
    floats[s, f + at.S60_NOTIONAL] += notional
    floats[s, f + at.S60_SIGNED] += signed
    floats[s, f + at.S60_SIDED] += abs(signed)
    floats[s, f + at.S60_SIZE] += values[j, at.SIZE]
    floats[s, f + at.S60_SPREAD] += values[j, at.SPREAD]
    floats[s, f + at.S60_IMBALANCE] += imbalance
    floats[s, f + at.S60_FLOW] += flow
    floats[s, f + at.S60_ABS_FLOW] += abs(flow)
    floats[s, f + at.S300_R] += r
    floats[s, f + at.S300_D] += values[j, at.D]
    floats[s, f + at.S300_DD] += values[j, at.DD]
    floats[s, f + at.S300_NOTIONAL] += notional
    floats[s, f + at.S300_R2] += r2
    floats[s, f + at.S300_SIGNED] += signed
    floats[s, f + at.S300_SIDED] += abs(signed)
    if r < 0.0:
        floats[s, f + at.S300_DOWN] += r2
    floats[s, f + at.S300_ABS_R] += abs(r)


@inlined
def read(
    ints: Int64, floats: Float64, values: Float64, recent: Float64, s: int, fine: Float64
) -> None:
    """Write front + back of every sum into ``fine``, float64, shape (FINE_SUMS,)."""
    for c in range(at.FINE_SUMS):
        fine[c] = floats[s, at.FRONT + c]
    start, mask = ints[s, at.RECENT_START], ints[s, at.RECENT_MASK]
    tail = ints[s, at.TAIL1]
    if tail < ints[s, at.BLOCK1]:
        fine[at.S1_R] += recent[start + (tail & mask), at.S1_R]
    tail = ints[s, at.TAIL5]
    if tail < ints[s, at.BLOCK5]:
        j = start + (tail & mask)
        for c in range(at.S5_R, at.S30_R):
            fine[c] += recent[j, c]
    tail = ints[s, at.TAIL30]
    if tail < ints[s, at.BLOCK30]:
        j = start + (tail & mask)
        fine[at.S30_R] += recent[j, at.S30_R]
        fine[at.S30_R2] += recent[j, at.S30_R2]
    tail = ints[s, at.TAIL60]
    if tail < ints[s, at.BLOCK60]:
        j = start + (tail & mask)
        for c in range(at.S60_R, at.S300_R):
            fine[c] += recent[j, c]
    tail = ints[s, at.TAIL300]
    if tail < ints[s, at.BLOCK300]:
        j = ints[s, at.TICK_START] + (tail & ints[s, at.TICK_MASK])
        for c in range(at.S300_R, at.FINE_SUMS):
            fine[c] += values[j, c - at.LONG]
