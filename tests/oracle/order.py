"""What a tick is to its symbol: on time, late, a duplicate or a new beginning.

The one statement of these rules outside the product, for the oracles of outputs and of features.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum

from schemas.features import LATE_LIMIT_S, MEMORY_S
from tests.oracle.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S

MEMORY_NS = MEMORY_S * NS_PER_S
LATE_LIMIT_NS = LATE_LIMIT_S * NS_PER_S


class Decision(Enum):
    """What became of a valid tick."""

    FIRST = "first"
    ON_TIME = "on time"
    LATE = "late"
    RESTART = "restart"
    DUPLICATE = "duplicate"


class _Bounds:
    """What holds of a symbol in every run, from whatever offset of the log it begins.

    No run's newest time is above ``top_ns`` or below ``low_ns``. A symbol is silent since
    ``top_ns``: so runs that began at different offsets forget it at the same tick.
    """

    def __init__(self, now: int, trade_id: int | None) -> None:
        self.top_ns = self.low_ns = now
        # The greatest id of each span of one memory's length, by the top at its tick.
        self._ids: dict[int, int] = {}
        self._add(trade_id)

    def after(self, now: int, trade_id: int | None) -> "_Bounds":
        """Return the bounds after another tick."""
        if now < self.low_ns - LATE_LIMIT_NS or now > self.top_ns + MEMORY_NS:
            return _Bounds(now, trade_id)  # every run starts anew here
        span = max(self.top_ns, now) // MEMORY_NS
        known = max(self._ids.get(span, -1), self._ids.get(span - 1, -1))
        taken = trade_id is None or (trade_id > known and now // MEMORY_NS >= span)
        self.top_ns = max(self.top_ns, now)
        # A tick that every run takes is from then on where each of them stands, or above it.
        self.low_ns = now if taken else min(self.low_ns, now)
        self._add(trade_id)
        return self

    def _add(self, trade_id: int | None) -> None:
        span = self.top_ns // MEMORY_NS
        greatest = -1 if trade_id is None else trade_id
        self._ids[span] = max(self._ids.get(span, -1), greatest)


@dataclass
class _Memory:
    newest_ns: int
    started_ns: int
    last_id: int | None
    last_id_ns: int


@dataclass
class PartitionOrder:
    """The symbols of one partition, fed in offset order.

    A symbol silent for a day is forgotten when the partition's time enters another minute.
    """

    memories: dict[Hashable, _Memory] = field(default_factory=dict)
    bounds: dict[Hashable, _Bounds] = field(default_factory=dict)
    minute: int | None = None

    def decide(self, key: Hashable, now: int, trade_id: int | None) -> tuple[Decision, int, int]:
        """Return the decision, the effective time and the start of memory, both in ns.

        Parameters
        ----------
        key
            What tells symbols apart.
        now
            The tick's own time, ns.
        """
        self._forget(now)
        memory = self.memories.get(key)
        if memory is None:
            self.memories[key] = _Memory(now, now, trade_id, now)
            self.bounds[key] = _Bounds(now, trade_id)
            return Decision.FIRST, now, now
        self.bounds[key] = self.bounds[key].after(now, trade_id)
        newest = memory.newest_ns
        if now > newest + MEMORY_NS or now < newest - LATE_LIMIT_NS:
            self.memories[key] = _Memory(now, now, trade_id, now)
            return Decision.RESTART, now, now
        effective = max(newest, now)
        if trade_id is not None:
            last = memory.last_id
            if last is not None and trade_id <= last and effective - memory.last_id_ns <= MEMORY_NS:
                return Decision.DUPLICATE, newest, memory.started_ns
            memory.last_id = trade_id
            memory.last_id_ns = effective
        memory.newest_ns = effective
        decision = Decision.LATE if now < newest else Decision.ON_TIME
        return decision, effective, memory.started_ns

    def _forget(self, now: int) -> None:
        minute = now // NS_PER_MINUTE
        if self.minute is not None and minute != self.minute:
            for key in [key for key, each in self.bounds.items() if now - each.top_ns > NS_PER_DAY]:
                del self.bounds[key], self.memories[key]
        self.minute = minute
