"""Put trades that overtook each other back into the order of their ids.

Venues warn that messages can arrive out of order. On a channel that promises every trade, a trade
that skips ids waits for those before it, so that an overtaken trade is no gap and reaches the log
in its place. What has not come after :data:`HOLD_NS`, or behind :data:`HOLD_TRADES` later trades of
the symbol, is taken for lost.

Times are those of the frames, so that a recording gives the same ticks as the feed it was made of.
"""

from bisect import insort
from collections.abc import Iterator, Sized

from flows.numeric.time import NS_PER_MS
from schemas.ticks import Tick

HOLD_NS = 250 * NS_PER_MS
HOLD_TRADES = 64

_Held = tuple[int, int, int, Tick]
"""Id, when it arrived, arrival number (which makes it unique), and the trade."""


class Reorder:
    """Hold trades that came too early.

    Parameters
    ----------
    hold_ns
        How long a trade waits for those before it, nanoseconds.
    """

    def __init__(self, hold_ns: int = HOLD_NS) -> None:
        self._hold_ns = hold_ns
        self._held: dict[str, list[_Held]] = {}
        self._arrivals = 0

    @property
    def waiting(self) -> Sized:
        """What waits, by symbol: one object that changes with it."""
        return self._held

    def hold(self, tick: Tick, trade_id: int, now_ns: int) -> None:
        """Let a trade wait."""
        self._arrivals += 1
        insort(self._held.setdefault(tick.symbol, []), (trade_id, now_ns, self._arrivals, tick))

    def hold_behind(self, tick: Tick, now_ns: int) -> bool:
        """Let a trade without an id wait behind those of its symbol; return whether any wait."""
        held = self._held.get(tick.symbol)
        if not held:
            return False
        self.hold(tick, held[-1][0], now_ns)
        return True

    def first(self, symbol: str) -> Tick | None:
        """Return the waiting trade of the lowest id; None if none waits."""
        held = self._held.get(symbol)
        return held[0][3] if held else None

    def pop(self, symbol: str) -> Tick:
        """Take the waiting trade of the lowest id."""
        held = self._held[symbol]
        tick = held.pop(0)[3]
        if not held:
            del self._held[symbol]
        return tick

    def overdue(self, now_ns: int | None) -> Iterator[str]:
        """Yield a symbol for as long as its first waiting trade should wait no longer.

        The caller takes that trade before it asks for the next symbol. A clock that was set back
        ends the waiting, too.

        Parameters
        ----------
        now_ns
            Nanoseconds since the UNIX epoch; None: nothing waits any longer.
        """
        for symbol in list(self._held):
            while held := self._held.get(symbol):
                _, since_ns, _, _ = held[0]
                waits = now_ns is not None and abs(now_ns - since_ns) <= self._hold_ns
                if waits and len(held) <= HOLD_TRADES:
                    break
                yield symbol
