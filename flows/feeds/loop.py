"""Shift the ticks of a repeating recording, so that times and ids go on rising."""

import time
from collections.abc import Callable

import msgspec

from flows.numeric.time import NS_PER_DAY, NS_PER_S
from schemas.ticks import Tick

MAX_AHEAD_NS = NS_PER_DAY // 2
"""How far ahead of the present a loop may end."""


class LoopShift:
    """Shift the ticks of every loop after the first; each symbol's ids by their own range.

    The first loop passes unchanged and is measured. A later one starts a second after the newest
    event of the one before, and one id is left out between the two, so that the seam is a gap.
    Receive times keep their distance to event times; where there is none, the event time replaces
    it, because the times of a repetition are made up anyway.

    A recording that repeats faster than it was made runs ahead of the real time, and the flow does
    not believe events a day ahead of it. So a loop that would end more than half a day ahead begins
    at the recording's own times again, with ids that go on; each symbol's memory then starts anew.

    Parameters
    ----------
    now_ns
        Returns the present, nanoseconds since the UNIX epoch.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._loop_number = 0
        self._first_loop = 0  # the loop that last began at the recording's own times
        self._first_ns: int | None = None
        self._last_ns = 0
        self._ids: dict[str, tuple[int, int]] = {}
        self._sequences: dict[str, tuple[int, int]] = {}

    def shift(self, tick: Tick, loop_number: int) -> Tick:
        """Return the tick as of a loop, counted from 0."""
        if loop_number == 0:
            self._measure(tick)
            return tick
        span_ns = 0 if self._first_ns is None else self._last_ns - self._first_ns + NS_PER_S
        if loop_number != self._loop_number:
            self._loop_number = loop_number
            ends_ns = self._last_ns + (loop_number - self._first_loop) * span_ns
            if ends_ns > self._now_ns() + MAX_AHEAD_NS:
                self._first_loop = loop_number
        shift_ns = (loop_number - self._first_loop) * span_ns
        event_ns = tick.ts_event_ns + shift_ns
        recv_ns = event_ns if tick.ts_recv_ns is None else tick.ts_recv_ns + shift_ns
        return msgspec.structs.replace(
            tick,
            ts_event_ns=event_ns,
            ts_recv_ns=recv_ns,
            trade_id=_shift_number(self._ids, tick.symbol, tick.trade_id, loop_number),
            sequence=_shift_number(self._sequences, tick.symbol, tick.sequence, loop_number),
        )

    def _measure(self, tick: Tick) -> None:
        if self._first_ns is None:
            self._first_ns = self._last_ns = tick.ts_event_ns
        self._first_ns = min(self._first_ns, tick.ts_event_ns)
        self._last_ns = max(self._last_ns, tick.ts_event_ns)
        _measure_number(self._ids, tick.symbol, tick.trade_id)
        _measure_number(self._sequences, tick.symbol, tick.sequence)


def _measure_number(ranges: dict[str, tuple[int, int]], symbol: str, number: int | None) -> None:
    if number is None:
        return
    low, high = ranges.get(symbol, (number, number))
    ranges[symbol] = (min(low, number), max(high, number))


def _shift_number(
    ranges: dict[str, tuple[int, int]], symbol: str, number: int | None, loop_number: int
) -> int | None:
    if number is None or symbol not in ranges:
        return number
    low, high = ranges[symbol]
    return number + loop_number * (high - low + 2)
