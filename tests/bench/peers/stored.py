"""The window for engines whose state is small values under keys, as Quix, Faust and Flink keep it.

A tick's terms lie under their own number, so that a tick writes one of them and drops those that
leave the window, instead of writing a minute's worth of them each time.
"""

from collections.abc import Callable
from operator import add, sub
from typing import Any

from tests.bench.peers.work import SPAN_NS, TERMS, features_of, terms_of

HEAD = "head"
"""The key of what a symbol has once: first and next number, the newest tick's values, the sums."""


def push_stored(
    get: Callable[[str], Any],
    put: Callable[[str, Any], None],
    drop: Callable[[str], None],
    ts_ns: int,
    *values: Any,
) -> list[float]:
    """Add a tick to its symbol's window and return its features.

    Parameters
    ----------
    get, put, drop
        Reach the symbol's values, made of numbers and lists; ``get`` gives None for no value.
    ts_ns, values
        As :meth:`tests.bench.peers.work.Window.push` takes them.
    """
    first, following, last, sums = get(HEAD) or (0, 0, None, (0.0,) * TERMS)
    last, terms = terms_of(last, *values)
    put(str(following), (ts_ns, terms))
    following += 1
    sums = tuple(map(add, sums, terms))
    while first < following - 1:
        oldest_ns, gone = get(str(first))
        if oldest_ns > ts_ns - SPAN_NS:
            break
        sums = tuple(map(sub, sums, gone))
        drop(str(first))
        first += 1
    put(HEAD, (first, following, last, sums))
    return features_of(last, terms, sums, following - first)
