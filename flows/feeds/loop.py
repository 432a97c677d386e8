"""Shifting ticks of a repeating recording, so that time and ids go on rising."""

import msgspec

from flows.feeds.timestamps import NS_PER_S
from schemas.ticks import Tick


class LapShift:
    """Shifts the ticks of every lap after the first; each symbol's ids by their own range.

    The first lap passes unchanged and is measured. A later one starts a second after the newest
    event of the one before, and an id is left out at the seam, so that it is seen as a gap. Receive
    times keep their distance to event times; where there is none, the event time stands for it,
    since times of a repetition are made up anyway.
    """

    def __init__(self) -> None:
        self._lap = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._ids: dict[str, tuple[int, int]] = {}
        self._sequences: dict[str, tuple[int, int]] = {}

    def shift(self, tick: Tick, lap: int) -> Tick:
        """Return the tick as of a lap, counted from 0."""
        if lap == 0:
            self._measure(tick)
            return tick
        span_ns = 0 if self._first_ns is None else self._last_ns - self._first_ns + NS_PER_S
        event_ns = tick.ts_event_ns + lap * span_ns
        recv_ns = event_ns if tick.ts_recv_ns is None else tick.ts_recv_ns + lap * span_ns
        return msgspec.structs.replace(
            tick,
            ts_event_ns=event_ns,
            ts_recv_ns=recv_ns,
            trade_id=_shift_number(self._ids, tick.symbol, tick.trade_id, lap),
            sequence=_shift_number(self._sequences, tick.symbol, tick.sequence, lap),
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
    ranges: dict[str, tuple[int, int]], symbol: str, number: int | None, lap: int
) -> int | None:
    if number is None or symbol not in ranges:
        return number
    low, high = ranges[symbol]
    return number + lap * (high - low + 2)
