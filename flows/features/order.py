"""Which tick is late, a duplicate or a restart, and from which offset a state can be rebuilt.

Rebuilding. A run that starts at a later offset of the log knows less: what it takes for the newest
time or the newest id of a symbol can differ from what a run from the beginning takes for them, and
with it how ticks are classified. Beside its own newest time and id a run therefore keeps bounds of
those of all runs that start later. For every symbol:

``TOP``, ``LOW``
    No run's newest time is above or below these.
``ID_NOW``, ``ID_BEFORE``
    No run's newest id that still counts (not older than the memory) is above the greater of them.
    Ids are kept for the current and the previous span of one memory's length of ``TOP``.

A *universal restart* is a tick at which every run starts the symbol anew. A *sync* tick is one
after which every run has the same newest time and newest id, hence the same bounds and the same
classification for good; runs may still differ in what they remember from before it. So a run from
the ``ANCHOR`` or any lower offset reaches the same state, where the anchor is

- a universal restart, or
- at another restart, the last sync tick before it: from there all restart together, or
- a sync tick with a tick after it in a bar that is older than the memory: nothing from before it
  counts any more, and the return after it, which a run that starts with it knows.
"""

from flows.features.layout import (
    ALIVE,
    ANCHOR,
    ELAPSED,
    FORGET_AFTER_NS,
    ID_BEFORE,
    ID_NOW,
    ID_SPAN_END,
    LAST_ID,
    LAST_ID_TIME,
    LAST_TIME,
    LATE_LIMIT_NS,
    LOW,
    MAX_RECENT,
    MEMORY_NS,
    N_CROWDED_OUT,
    N_ENDED,
    N_RECENT,
    NEWEST,
    NO_TIME,
    SEEN_AT,
    SEEN_TIME,
    SYNC,
    TOP,
)
from flows.numeric import recency
from flows.numeric.arrays import Int64
from flows.numeric.compiled import compilable, inlined
from flows.numeric.time import NS_PER_MINUTE

ON_TIME, LATE, DUPLICATE, RESTART, FIRST = range(5)


@inlined
def pass_time(partition: Int64, ts: int) -> bool:
    """Add the step to the tick at ``ts`` to the time that has passed; return if a minute began.

    Only forward steps of at most the memory's length count: a clock that is wrong by more makes no
    time pass, neither by its jump ahead nor by the return from it.
    """
    last = partition[LAST_TIME]
    partition[LAST_TIME] = ts
    if last == NO_TIME:
        return False
    if last < ts <= last + MEMORY_NS:
        partition[ELAPSED] += ts - last
    return bool(ts // NS_PER_MINUTE != last // NS_PER_MINUTE)


@inlined
def make_most_recent(ints: Int64, partition: Int64, links: Int64, s: int) -> None:
    """Let a symbol be the most recent; end the memory of the oldest where there are too many.

    Duplicates count, too: which tick is one can differ between runs, which ticks there are cannot.
    """
    if recency.make_newest(links, s):
        if partition[N_RECENT] < partition[MAX_RECENT]:
            partition[N_RECENT] += 1
        else:
            crowd_out(ints, partition, links)


@compilable
def crowd_out(ints: Int64, partition: Int64, links: Int64) -> None:
    """End the memory of the symbol that was silent for longest."""
    s = recency.oldest(links)
    recency.remove(links, s)
    if ints[s, ALIVE] == 1:
        ints[s, ALIVE] = 0
        partition[N_ENDED] += 1
        partition[N_CROWDED_OUT] += 1


@compilable
def forget(ints: Int64, partition: Int64, links: Int64, ts: int) -> None:
    """Drop the symbols that were silent for a day; called where a minute begins.

    Otherwise a rebuild would always have to start at the last tick of a symbol that is no longer
    traded. A day by the clock of the tick at ``ts``, which may be wrong, is enough once the length
    of the memory has passed in the partition: by then its next tick would restart it anyway.
    All runs that know the symbol agree on this: they all saw its last tick and what followed.
    """
    s = recency.oldest(links)
    while s != recency.NONE:
        passed = partition[ELAPSED] - ints[s, SEEN_AT]
        if passed <= MEMORY_NS:
            break
        silent = ts - ints[s, SEEN_TIME]
        if ints[s, ALIVE] == 1 and (passed > FORGET_AFTER_NS or silent > FORGET_AFTER_NS):
            ints[s, ALIVE] = 0
            partition[N_ENDED] += 1
        s = recency.next_newer(links, s)


@inlined
def track_ids(ints: Int64, s: int, trade_id: int) -> None:
    """Add an id to those that may be the newest id of some run; ``TOP`` is up to date."""
    top = ints[s, TOP]
    if top >= ints[s, ID_SPAN_END]:
        adjacent = top < ints[s, ID_SPAN_END] + MEMORY_NS
        ints[s, ID_BEFORE] = ints[s, ID_NOW] if adjacent else -1
        ints[s, ID_NOW] = -1
        ints[s, ID_SPAN_END] = (top // MEMORY_NS + 1) * MEMORY_NS
    ints[s, ID_NOW] = max(ints[s, ID_NOW], trade_id)


@inlined
def newest_known_id(ints: Int64, s: int, top: int) -> int:
    """Return the greatest id that may be the newest of some run at time ``top``; -1 if none."""
    end = ints[s, ID_SPAN_END]
    if top < end:
        return int(max(ints[s, ID_NOW], ints[s, ID_BEFORE]))
    if top < end + MEMORY_NS:
        return int(ints[s, ID_NOW])
    return -1


@compilable
def start_anew(ints: Int64, s: int, ts: int, trade_id: int, offset: int) -> None:
    """Reset the bounds to this tick: every run restarts the symbol here."""
    ints[s, ALIVE] = 1
    ints[s, TOP] = ts
    ints[s, LOW] = ts
    ints[s, ID_NOW] = trade_id
    ints[s, ID_BEFORE] = -1
    ints[s, ID_SPAN_END] = (ts // MEMORY_NS + 1) * MEMORY_NS
    ints[s, SYNC] = offset
    ints[s, ANCHOR] = offset


@inlined
def counts_id(ints: Int64, s: int, ts: int) -> bool:
    """Return whether the symbol has a newest id that a tick at ``ts`` still remembers."""
    newest = max(ints[s, NEWEST], ts)
    return bool(ints[s, LAST_ID] >= 0 and newest - ints[s, LAST_ID_TIME] <= MEMORY_NS)


@inlined
def follows(ints: Int64, s: int, ts: int, trade_id: int) -> bool:
    """Return whether an id comes right after the symbol's newest: no trade between them is lost."""
    return bool(ints[s, ALIVE] == 1 and trade_id == ints[s, LAST_ID] + 1 and counts_id(ints, s, ts))


@inlined
def classify(ints: Int64, s: int, ts: int, trade_id: int, offset: int) -> int:
    """Return what a tick is, ``ON_TIME`` to ``FIRST``; update newest time, newest id, bounds."""
    if ints[s, ALIVE] == 0:
        start_anew(ints, s, ts, trade_id, offset)
        ints[s, NEWEST] = ts
        ints[s, LAST_ID] = trade_id
        ints[s, LAST_ID_TIME] = ts
        return FIRST
    newest = ints[s, NEWEST]
    restart = ts - newest > MEMORY_NS or newest - ts > LATE_LIMIT_NS
    duplicate = (
        not restart and trade_id >= 0 and trade_id <= ints[s, LAST_ID] and counts_id(ints, s, ts)
    )
    top = ints[s, TOP]
    if ints[s, LOW] - ts > LATE_LIMIT_NS or ts - top > MEMORY_NS:
        start_anew(ints, s, ts, trade_id, offset)
    else:
        known = newest_known_id(ints, s, max(top, ts))
        # A run that stands before a late tick may still hold an id of a span that is dropped.
        in_span = ts >= top or ts >= ints[s, ID_SPAN_END] - MEMORY_NS
        accepted_by_all = trade_id < 0 or (trade_id > known and in_span)
        if restart:
            ints[s, ANCHOR] = ints[s, SYNC]
        elif ts >= top and (trade_id > known or (trade_id < 0 and known < 0)):
            ints[s, SYNC] = offset
        ints[s, TOP] = max(top, ts)
        ints[s, LOW] = ts if accepted_by_all else min(ints[s, LOW], ts)
        track_ids(ints, s, trade_id)
    if duplicate:
        return DUPLICATE
    if restart:
        ints[s, NEWEST] = ts
        ints[s, LAST_ID] = trade_id
        ints[s, LAST_ID_TIME] = ts
        return RESTART
    ints[s, NEWEST] = max(newest, ts)
    if trade_id >= 0:
        ints[s, LAST_ID] = trade_id
        ints[s, LAST_ID_TIME] = ints[s, NEWEST]
    return LATE if ts < newest else ON_TIME
