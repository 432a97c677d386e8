"""Linked lists of nodes from one pool, so that no symbol has a region to size or to move."""

from flows.numeric.arrays import Int64
from flows.numeric.compiled import compilable
from flows.targets import layout as at
from flows.targets.types import Memory


@compilable
def append(m: Memory, s: int, which: int, key: int, token: int) -> int:
    """Put a free node at the newest end of a list; return it."""
    node = m.partition[at.FREE]
    m.partition[at.FREE] = m.links[node, at.NEXT]
    m.partition[at.N_FREE] -= 1
    newest = m.ints[s, which + 1]
    m.links[node, at.NEXT] = at.NONE
    m.links[node, at.PREVIOUS] = newest
    m.links[node, at.KEY] = key
    m.links[node, at.TOKEN] = token
    if newest == at.NONE:
        m.ints[s, which] = node
    else:
        m.links[newest, at.NEXT] = node
    m.ints[s, which + 1] = node
    return int(node)


@compilable
def drop_oldest(m: Memory, s: int, which: int) -> None:
    """Free the oldest node of a list that is not empty."""
    node = m.ints[s, which]
    following = m.links[node, at.NEXT]
    m.ints[s, which] = following
    if following == at.NONE:
        m.ints[s, which + 1] = at.NONE
    else:
        m.links[following, at.PREVIOUS] = at.NONE
    m.links[node, at.NEXT] = m.partition[at.FREE]
    m.partition[at.FREE] = node
    m.partition[at.N_FREE] += 1


@compilable
def drop_all(m: Memory, s: int, which: int) -> None:
    """Empty a list."""
    while m.ints[s, which] != at.NONE:
        drop_oldest(m, s, which)


def add_free_nodes(links: Int64, partition: Int64, first: int) -> None:
    """Add the nodes from ``first`` to the end of the pool to the free ones."""
    stop = len(links)
    links[first:stop, at.NEXT] = range(first + 1, stop + 1)
    links[stop - 1, at.NEXT] = partition[at.FREE]
    partition[at.FREE] = first
    partition[at.N_FREE] += stop - first
