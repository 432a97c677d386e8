"""Columns of the arrays that labels are computed in, and how the state can be rebuilt.

Per symbol there are three lists, oldest first, of nodes from one pool:

``PENDING``
    Rows whose truth is not known yet: key = effective time, token = running number, mid, scaled
    volatility of the lookback.
``CELLS``
    Non-empty cells of the 1 s grid, from the oldest pending row on, the newest still changing:
    key = grid point s, which closes the cell (s - 1, s]; close, squared return from the cell
    before.
``BARS``
    Non-empty absolute seconds but the open one, as far back as a pending row's lookback: key =
    second, token = newest offset from which a run reaches the same newest time, or -1; squared
    return, and the back of the sum of squares: the sum from here to the end of the block of the
    lookback's own length. In the current block a front grows instead. So nothing is ever
    subtracted, and a sum depends on what lies in the window alone.

A row that is not late is one after which every run that began at or before it has the same newest
time; restarts are told by the rows themselves. Once such a row lies in a bar that has fallen out of
every pending row's lookback, the state depends on nothing before it.
"""

from flows.numeric.time import NS_PER_DAY, NS_PER_HOUR

FORGET_AFTER_NS = NS_PER_DAY
LARGEST_STEP_NS = NS_PER_HOUR

# Nodes, integers: links to the next newer and the next older node, what they are found by.
NEXT, PREVIOUS, KEY, TOKEN = range(4)
NODE_INTS = 4
# Nodes, floats: mid, close or squared return; scaled volatility, squared return, or back.
VALUE, SECOND = range(2)
NODE_FLOATS = 2
NONE = -1
NODES_PER_ROW = 3

# State per symbol, integers. Each list has its oldest and its newest node.
ALIVE, NEWEST, STARTED, ANCHOR = range(4)
PENDING, PENDING_END, CELLS, CELLS_END, BARS, BARS_END = range(4, 10)
WINDOW = 10  # oldest bar of the list that is in the lookback
BLOCK = 11  # second at which the current block of the lookback starts
BAR_SEC, BAR_SYNC, HAS_BEFORE = range(12, 15)
SUM_SEC = 15  # second whose sum over the horizon's cells SUM holds
SEEN_TIME, SEEN_AT = 16, 17  # event time of its newest row; ELAPSED at that row
STATE_INTS = 18

# State per symbol, floats: newest mid, close of the bar before the open one, squared return of the
# open bar, front of the lookback's sum, sum over the horizon's cells.
MID, BEFORE_CLOSE, BAR_G2, FRONT, SUM = range(5)
STATE_FLOATS = 5

# State of the partition. FREE heads the list of unused nodes; LAST_TIME is the event time of the
# newest row, or -1; ELAPSED the time that has passed (see ``realize.pass_time``); N_RECENT counts
# the symbols in the ring of recent ones, which holds MAX_RECENT at most.
FREE, N_FREE, N_PENDING, N_OUT, N_ROWS, LAST_TIME, ELAPSED, N_RECENT, MAX_RECENT = range(9)
PARTITION_INTS = 9
NO_TIME = -1

# Columns of the results.
RATIO, VOLATILITY, RETURN = range(3)
QUANTITIES = 3
