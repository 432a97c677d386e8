"""Columns of the kernel's arrays, and how a window is kept.

A window is kept as two stacks cut at absolute times (for minima and maxima known as the algorithm
of van Herk, Gil and Werman). Time is cut into blocks of the window's own length at absolute
multiples of it. A window then reaches over at most two blocks: the part in the current block is the
*front*, one running sum that only grows; the part in the block before is the *back*: at the first
element of a new block, sums from each element to the block's end are stored beside the elements,
and the one at the window's tail is the back's sum. So

- every element is added twice, however long the window is;
- nothing is ever subtracted: no drift, no cancellation, sums of squares never turn negative, a sum
  of zeros is zero, an infinity leaves with its tick;
- a window's value depends on the window's own elements alone, not on when the process started:
  a rebuilt state is equal bit for bit.

Each length divides the next, so where the longest window starts a block all do, and its back may
be stored over the raw values, which nobody needs any more.
"""

from flows.numeric.time import NS_PER_DAY, NS_PER_S
from schemas.features import LATE_LIMIT_S, MEMORY_S, WARM_AFTER_S

MEMORY_NS = MEMORY_S * NS_PER_S
LATE_LIMIT_NS = LATE_LIMIT_S * NS_PER_S
WARM_AFTER_NS = WARM_AFTER_S * NS_PER_S
FORGET_AFTER_NS = NS_PER_DAY

# Ring of ticks, integers: effective time and how many ticks since the restart and before this one
# had what (two counts in one number: the low and the high 32 bits).
T, SIZED_SIDED, QUOTED_BOOKED, FLOWS = range(4)
TICK_INTS = 4
HIGH = 1 << 32
LOW_MASK = HIGH - 1

# Ring of ticks, floats; 0 where undefined. Then the same columns once the 300 s window stored its
# back there.
R, D, DD, NOTIONAL, SIZE, SIGNED, SPREAD, IMBALANCE, FLOW = range(9)
TICK_FLOATS = 9

# Sums over fine windows: 18 of up to 60 s (their backs are the columns of the ring of recent
# ticks), then the 9 of 300 s, in the order of the ring of ticks.
S1_R = 0
S5_R, S5_R2, S5_IMBALANCE, S5_FLOW, S5_ABS_FLOW = range(1, 6)
S30_R, S30_R2 = range(6, 8)
S60_R, S60_R2, S60_NOTIONAL, S60_SIGNED, S60_SIDED = range(8, 13)
S60_SIZE, S60_SPREAD, S60_IMBALANCE, S60_FLOW, S60_ABS_FLOW = range(13, 18)
RECENT_FLOATS = 18
S300_R, S300_D, S300_DD, S300_NOTIONAL, S300_R2 = range(18, 23)
S300_SIGNED, S300_SIDED, S300_DOWN, S300_ABS_R = range(23, 27)
FINE_SUMS = 27
LONG = 18  # S300_x - LONG is the column of the ring of ticks

# Ring of bars, integers: absolute second, newest sync offset in the bar or -1, and the ticks, the
# sized (low) and quoted (high) ones before the bar.
B_SEC, B_SYNC, B_TICKS, B_SIZED_QUOTED = range(4)
BAR_INTS = 4

# Ring of bars, floats: grid return, notional, sum of spread_bps (later the 3,600 s backs of g^2,
# notional, spread_bps), and the 900 s back of g^2.
B_G, B_NOTIONAL, B_SPREAD, B_BACK900 = range(4)
BAR_FLOATS = 4

# Ring of recent bars: high and low, and the backs of 60 and 300 s.
RB_HIGH, RB_LOW = range(2)
RB60_G2, RB60_NOTIONAL, RB60_HIGH, RB60_LOW = range(2, 6)
RB300_G2, RB300_GG, RB300_HIGH, RB300_LOW = range(6, 10)
RECENT_BAR_FLOATS = 10

# Sums over coarse windows.
C60_G2, C60_NOTIONAL, C60_HIGH, C60_LOW = range(4)
C300_G2, C300_GG, C300_HIGH, C300_LOW = range(4, 8)
C900_G2, C3600_G2, C3600_NOTIONAL, C3600_SPREAD = range(8, 12)
COARSE_SUMS = 12

# State per symbol, integers.
(
    ALIVE,  # 1 while the symbol is in memory
    NEWEST,  # effective time of its newest tick
    STARTED,  # time of its restart
    GAP_TIME,  # time of the last gap; a whole memory before STARTED without one
    LAST_ID,  # newest accepted trade id or -1, and its time
    LAST_ID_TIME,
    TOP,  # rebuild: greatest time any run can be at (see order.py)
    LOW,  # rebuild: least time any run can be at
    ID_NOW,  # rebuild: greatest id of the current span, of the span before, the span's end
    ID_BEFORE,
    ID_SPAN_END,
    SEEN_TIME,  # event time of its newest tick in the log, of any kind; ELAPSED at that tick
    SEEN_AT,
    SYNC,  # rebuild: newest sync offset
    ANCHOR,  # rebuild: from here or earlier every run comes to this state
    BOOKED_BEFORE,  # the newest tick had a whole book
    HEAD,  # ticks since the restart
    N_SIZED_SIDED,
    N_QUOTED_BOOKED,
    N_FLOWS,
    TAIL1,  # first tick of each fine window
    TAIL5,
    TAIL30,
    TAIL60,
    TAIL300,
    BLOCK1,  # first tick of each fine window's current block
    BLOCK5,
    BLOCK30,
    BLOCK60,
    BLOCK300,
    END1,  # end of each fine window's current block
    END5,
    END30,
    END60,
    END300,
    BAR,  # index of the open bar since the restart
    BAR_SEC,
    BAR_SYNC,  # rebuild: newest sync offset before the bar's last tick
    N_TICKS,
    N_SIZED_QUOTED,
    BAR_DROP,  # oldest bar in the ring
    BTAIL60,  # first bar of each coarse window
    BTAIL300,
    BTAIL900,
    BTAIL3600,
    BBLOCK60,
    BBLOCK300,
    BBLOCK900,
    BBLOCK3600,
    BEND60,
    BEND300,
    BEND900,
    BEND3600,
    TICKS_BEFORE60,  # counts before the first bar of a coarse window
    TICKS_BEFORE3600,
    SIZED_QUOTED_BEFORE60,
    SIZED_QUOTED_BEFORE3600,
    TICK_START,  # regions in the buffers: first row, and capacity - 1 (-1: none)
    TICK_MASK,
    RECENT_START,
    RECENT_MASK,
    BAR_START,
    BAR_MASK,
    RECENT_BAR_START,
    RECENT_BAR_MASK,
) = range(65)
STATE_INTS = 65

# State per symbol, floats.
PRICE, MID, LAST_D, BID, ASK, BID_SIZE, ASK_SIZE = range(7)
BAR_CLOSE, BAR_HIGH, BAR_LOW, BAR_G, BAR_NOTIONAL, BAR_SPREAD = range(7, 13)
BEFORE_CLOSE, BEFORE_G = range(13, 15)  # of the bar before the open one
FIRST_GG = 15  # |g| |g'| of the first bar of the 300 s block
FRONT = 16
BAR_FRONT = FRONT + FINE_SUMS
CLOSED = BAR_FRONT + COARSE_SUMS  # coarse sums without the open bar; constant while it is open
STATE_FLOATS = CLOSED + COARSE_SUMS + 1

# State per partition: event time of the newest tick in the log, or -1; the time that has passed
# (see ``order.pass_time``); counts of ticks; symbols whose memory ended, and those of them that
# ended for others; symbols in the ring of recent ones, and how many it holds at most.
LAST_TIME, ELAPSED, N_LATE, N_DUPLICATES, N_GAPS, N_RESTARTS = range(6)
N_ENDED, N_CROWDED_OUT, N_RECENT, MAX_RECENT = range(6, 10)
PARTITION_INTS = 10
NO_TIME = -1

NO_OFFSET = -1
