"""What a tick is to its symbol: on time, late, a duplicate or a new beginning.

The one statement of these rules outside the product, for the oracles of outputs and of features.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from schemas.features import LATE_LIMIT_S, MAX_SYMBOLS, MEMORY_S
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


class Placed(NamedTuple):
    """A tick in its symbol's order; times in ns.

    ``follows``: its id comes right after the newest of the symbol's memory.
    """

    decision: Decision
    effective_ns: int
    started_ns: int
    follows: bool


@dataclass
class _Memory:
    newest_ns: int
    started_ns: int
    last_id: int | None
    last_id_ns: int


@dataclass
class PartitionOrder:
    """The symbols of one partition, fed in offset order.

    Where a minute begins, symbols silent for a day are forgotten. Time passes by the steps from
    each tick of the partition to the next, without those back and those over more than a memory. A
    day by the new tick's own time counts, too, if more than a memory has passed. Of all symbols
    only ``max_symbols`` are remembered: those whose last tick, of whatever kind, is newest.
    """

    max_symbols: int = MAX_SYMBOLS
    memories: dict[Hashable, _Memory] = field(default_factory=dict)
    passed_ns: int = 0
    last_ns: int | None = None
    seen: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    newest_last: list[Hashable] = field(default_factory=list)

    def decide(self, key: Hashable, now: int, trade_id: int | None) -> Placed:
        """Return where a tick stands.

        Parameters
        ----------
        key
            What tells symbols apart.
        now
            The tick's own time, ns.
        """
        self._pass(now)
        self._crowd(key)
        self.seen[key] = now, self.passed_ns
        memory = self.memories.get(key)
        if memory is None:
            self.memories[key] = _Memory(now, now, trade_id, now)
            return Placed(Decision.FIRST, now, now, False)
        newest = memory.newest_ns
        if now > newest + MEMORY_NS or now < newest - LATE_LIMIT_NS:
            self.memories[key] = _Memory(now, now, trade_id, now)
            return Placed(Decision.RESTART, now, now, False)
        effective = max(newest, now)
        follows = False
        if trade_id is not None:
            last = memory.last_id
            if last is not None and effective - memory.last_id_ns <= MEMORY_NS:
                if trade_id <= last:
                    return Placed(Decision.DUPLICATE, newest, memory.started_ns, False)
                follows = trade_id == last + 1
            memory.last_id = trade_id
            memory.last_id_ns = effective
        memory.newest_ns = effective
        decision = Decision.LATE if now < newest else Decision.ON_TIME
        return Placed(decision, effective, memory.started_ns, follows)

    def _crowd(self, key: Hashable) -> None:
        order = [*(each for each in self.newest_last if each != key), key]
        for each in order[: -self.max_symbols]:
            self.memories.pop(each, None)
        self.newest_last = order[-self.max_symbols :]

    def _pass(self, now: int) -> None:
        last, self.last_ns = self.last_ns, now
        if last is None:
            return
        if 0 < now - last <= MEMORY_NS:
            self.passed_ns += now - last
        if now // NS_PER_MINUTE != last // NS_PER_MINUTE:
            for key in [key for key in self.memories if self._is_silent(key, now)]:
                del self.memories[key]

    def _is_silent(self, key: Hashable, now: int) -> bool:
        seen_ns, passed_ns = self.seen[key]
        passed = self.passed_ns - passed_ns
        return passed > NS_PER_DAY or (now - seen_ns > NS_PER_DAY and passed > MEMORY_NS)
