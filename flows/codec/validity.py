"""What makes a decoded tick unusable: prices, sizes, quotes, times and symbols."""

from collections.abc import Callable, Iterable

import numpy as np

from flows.codec.foreign import unit_of
from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from schemas.dead_letters import Reason
from schemas.features import LATE_LIMIT_S
from schemas.ticks import EARLIEST_NS, LATEST_NS, Tick

MAX_AHEAD_NS = 5 * NS_PER_MINUTE
"""How far ahead of its clocks an event may lie: a receive clock may be behind by some minutes."""

MAX_BEYOND_LOG_NS = NS_PER_DAY
"""How far ahead of Kafka's timestamp an event may lie, whatever its receive time says."""

_LATE_LIMIT_NS = LATE_LIMIT_S * NS_PER_S
_NO_LIMIT = np.iinfo(np.int64).max


def newest_after(newest_ns: int, event_ns: int) -> int:
    """Return a symbol's newest event time after another tick of it, as the features have it.

    An event that lies further back than a tick can be late begins the symbol anew: the clock before
    it was wrong, and what that said counts no more.
    """
    return event_ns if event_ns < newest_ns - _LATE_LIMIT_NS else max(newest_ns, event_ns)


def latest_credible_ns(received_ns: Int64, timestamps_ms: Int64) -> Int64:
    """Return the latest event time that each tick's clocks make credible, int64, shape (n,).

    An event may be five minutes ahead of the later of the two clocks, so that one that is behind
    does not refuse a market; and a day ahead of Kafka's own timestamp, whatever the receive time
    says, so that a producer whose clock is years ahead is not believed. A clock that shows a time
    before 2009 was never set and is ignored; without any clock every time is credible.

    Parameters
    ----------
    received_ns
        int64, shape (n,): when the venue's frame arrived; negative if unknown.
    timestamps_ms
        int64, shape (n,): Kafka's timestamp of the message, milliseconds; -1 if it has none.
    """
    received = np.where(received_ns < EARLIEST_NS, -1, received_ns)
    written = np.where(timestamps_ms < EARLIEST_NS // NS_PER_MS, -1, timestamps_ms)
    written = np.minimum(written, LATEST_NS // NS_PER_MS) * NS_PER_MS
    newest = np.minimum(np.maximum(received, written), LATEST_NS)
    credible = np.where(newest < 0, _NO_LIMIT, newest + MAX_AHEAD_NS)
    by_log = np.where(written < 0, _NO_LIMIT, written + MAX_BEYOND_LOG_NS)
    return np.asarray(np.minimum(credible, by_log), np.int64)


def defects(columns: dict[str, np.ndarray], latest_ns: Int64) -> list[tuple[Reason, Bool]]:
    """Return a mask per reason, first the one that counts where several hold."""
    price, bid, ask = columns["price"], columns["bid"], columns["ask"]
    time_ns = columns["ts_event_ns"]
    return [
        (Reason.BAD_PRICE, ~_usable(price) | _unusable(bid) | _unusable(ask)),
        (Reason.CROSSED_BOOK, bid > ask),
        (
            Reason.NEGATIVE_SIZE,
            (columns["size"] < 0) | (columns["bid_size"] < 0) | (columns["ask_size"] < 0),
        ),
        (Reason.ANCIENT_TIME, time_ns < EARLIEST_NS),
        (Reason.FUTURE_TIME, time_ns > np.minimum(latest_ns, LATEST_NS)),
    ]


def _usable(price: Float64) -> Bool:
    return (price > 0) & (price < np.inf)


def _unusable(quote: Float64) -> Bool:
    unusable: Bool = (quote <= 0) | (quote == np.inf)  # neither holds where there is no quote
    return unusable


def explain(reason: Reason, tick: Tick, timestamp_ms: int) -> str:
    """Return a sentence that names the field and the value behind a reason of :func:`defects`."""
    if reason is Reason.BAD_PRICE:
        prices = (("price", tick.price), ("bid", tick.bid), ("ask", tick.ask))
        name, value = _first(prices, lambda value: not 0 < value < float("inf"))
        return f"{name} is {value!r}, not a positive finite number"
    if reason is Reason.CROSSED_BOOK:
        return f"bid {tick.bid!r} is above ask {tick.ask!r}"
    if reason is Reason.NEGATIVE_SIZE:
        sizes = (("size", tick.size), ("bid_size", tick.bid_size), ("ask_size", tick.ask_size))
        name, value = _first(sizes, lambda value: value < 0)
        return f"{name} is {value!r}, a negative number"
    if reason is Reason.ANCIENT_TIME:
        unit = unit_of(tick.ts_event_ns)
        hint = f"; these look like {unit}, nanoseconds are expected" if unit else ""
        return f"ts_event_ns is {tick.ts_event_ns}, before 2009-01-01{hint}"
    if reason is Reason.UNKNOWN_SYMBOL:
        return f"symbol is {tick.symbol!r}, which VOLTICK_ALLOWED_SYMBOLS does not list"
    if tick.ts_event_ns > LATEST_NS:
        return f"ts_event_ns is {tick.ts_event_ns}, too late for 64-bit arithmetic"
    clocks = [] if tick.ts_recv_ns is None else [f"ts_recv_ns {tick.ts_recv_ns}"]
    if timestamp_ms >= 0:
        clocks.append(f"the message's timestamp {timestamp_ms} ms")
    return f"ts_event_ns is {tick.ts_event_ns}, too far ahead of {' and '.join(clocks)}"


def _first(
    named: Iterable[tuple[str, float | None]], is_bad: Callable[[float], bool]
) -> tuple[str, float]:
    return next((name, value) for name, value in named if value is not None and is_bad(value))
