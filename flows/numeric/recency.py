"""Which symbols of a partition had a tick most recently, and whose memory ends for them.

A partition's memory is bounded: a symbol's ends once ``MAX_SYMBOLS`` others have had a tick since
its own last one. Its next tick then begins anew, as a symbol's first does. Whose memory ends at a
tick depends on the newest ticks of the log alone: a run that starts later knows every symbol that
had a tick since, in the same order. So it ends the same memories at the same ticks.

``links``, int64, shape (symbols + 1, 2), chains the most recent symbols in a ring: row ``s + 1`` is
that of symbol s, and row 0 stands between the newest and the oldest.
"""

import numpy as np

from flows.numeric.arrays import Int64
from flows.numeric.compiled import inlined

NEWER, OLDER = 0, 1
NONE = -1


def new_links() -> Int64:
    """Return a ring without symbols."""
    return np.zeros((1, 2), np.int64)


def longer_links(links: Int64, symbols: int) -> Int64:
    """Return a copy with rows for symbols 0 to ``symbols - 1``."""
    longer = np.full((symbols + 1, 2), NONE, np.int64)
    longer[: len(links)] = links
    return longer


@inlined
def oldest(links: Int64) -> int:
    """Return the symbol whose last tick lies back farthest; ``NONE`` in an empty ring."""
    return int(links[0, NEWER] - 1)


@inlined
def next_newer(links: Int64, s: int) -> int:
    """Return the symbol that had its last tick next after symbol ``s``; ``NONE`` for the newest."""
    return int(links[s + 1, NEWER] - 1)


@inlined
def remove(links: Int64, s: int) -> None:
    """Take a symbol out of the ring."""
    newer, older = links[s + 1, NEWER], links[s + 1, OLDER]
    links[older, NEWER] = newer
    links[newer, OLDER] = older
    links[s + 1, NEWER] = NONE


@inlined
def make_newest(links: Int64, s: int) -> bool:
    """Let a symbol be the newest; return whether it was not in the ring before."""
    row = s + 1
    newest = links[0, OLDER]
    if newest == row:
        return False
    is_new = bool(links[row, NEWER] == NONE)
    if not is_new:
        remove(links, s)
    links[row, OLDER] = newest
    links[row, NEWER] = 0
    links[newest, NEWER] = row
    links[0, OLDER] = row
    return is_new
