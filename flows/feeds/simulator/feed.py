"""The simulated market as a feed."""

import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from flows.feeds.base import Frame, Parser
from flows.feeds.simulator.market import Market, TickColumns
from flows.feeds.simulator.parse import VENUE, TickParser
from flows.numeric.time import NS_PER_S

FIRST_OF_HISTORY = 100
"""Ticks in the first part of a history, so that the first score waits for no more than these; each
later part is twice as long, as far as it is asked for."""


class SimulatedFeed:
    """Feed of :class:`flows.feeds.simulator.market.Market`, whose frames are ticks as JSON.

    Parameters
    ----------
    symbols, rate_hz, seed, start_ns
        As in :class:`flows.feeds.simulator.market.Market`.
    opened_ns
        Event time at the first poll. What lies before is history: it comes as fast as it is taken,
        and was received at no time. None: ``start_ns``, so that there is none.
    speed
        Event time passes this much faster than the clock; None: as fast as frames are taken.
    duration_s
        End after this many seconds of ``clock_ns``; None: never.
    clock_ns
        Monotonic nanoseconds.
    """

    venue = VENUE
    simulated = True
    live = True
    marked = True

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        rate_hz: float,
        seed: int,
        start_ns: int,
        opened_ns: int | None = None,
        speed: float | None = 1.0,
        duration_s: float | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = f"SIMULATED market of {len(symbols)} symbols at {rate_hz:g} ticks/s"
        self.loop_number = 0
        self.finished = False
        self._market = Market(symbols, rate_hz=rate_hz, seed=seed, start_ns=start_ns)
        self._opened_ns = start_ns if opened_ns is None else opened_ns
        self._speed = speed
        self._duration_s = duration_s
        self._clock_ns = clock_ns
        self._began_ns: int | None = None
        self._columns: TickColumns | None = None
        self._next = 0
        self._most = FIRST_OF_HISTORY
        self._encode = msgspec.json.Encoder().encode

    def parser(self) -> Parser:
        """Return a parser of ticks as JSON."""
        return TickParser()

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the ticks whose time has come, at most ``max_frames``."""
        if self.finished:
            return []
        now_ns = self._clock_ns()
        if self._began_ns is None:
            self._began_ns = now_ns
        elapsed_ns = now_ns - self._began_ns
        if self._duration_s is not None and elapsed_ns >= self._duration_s * NS_PER_S:
            self.close()
            return []
        until_ns = None
        if self._speed is not None:
            until_ns = self._opened_ns + int(elapsed_ns * self._speed)
        columns = self._columns
        if columns is None or self._next >= len(columns):
            if until_ns is not None and until_ns < self._market.now_ns:
                return []
            columns = self._columns = self._market.advance(self._market.chunk_s)
            self._next = 0
        stop = min(self._next + max_frames, len(columns))
        if until_ns is not None:
            stop = min(stop, int(np.searchsorted(columns.ts_event_ns, until_ns, side="right")))
        # History and what follows it do not come in one piece.
        past = int(np.searchsorted(columns.ts_event_ns, self._opened_ns))
        is_past = self._next < past
        if is_past:
            stop = min(stop, past, self._next + self._most)
            self._most *= 2
        stop = max(stop, self._next)
        part = columns.part(self._next, stop)
        self._next = stop
        encode = self._encode
        ticks = self._market.ticks(part, received=not is_past)
        return [Frame(tick.ts_recv_ns, encode(tick).decode()) for tick in ticks]

    def close(self) -> None:
        """End the feed."""
        self.finished = True
