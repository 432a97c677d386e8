"""What a tick is to its symbol: on time, late, a duplicate or a new beginning."""

from dataclasses import dataclass, field
from enum import Enum

from schemas.features import LATE_LIMIT_S, MEMORY_S
from schemas.ticks import Tick

SECOND = 1_000_000_000
MEMORY_NS = MEMORY_S * SECOND
LATE_LIMIT_NS = LATE_LIMIT_S * SECOND
DAY_NS = 86_400 * SECOND
MINUTE_NS = 60 * SECOND


class Verdict(Enum):
    """What became of a valid tick."""

    FIRST = "first"
    ON_TIME = "on time"
    LATE = "late"
    RESTART = "restart"
    DUPLICATE = "duplicate"


@dataclass
class _Memory:
    newest_ns: int
    started_ns: int
    last_id: int | None
    last_id_ns: int
    seen_up_to_ns: int


@dataclass
class PartitionOrder:
    """The symbols of one partition, fed in offset order.

    A symbol silent for a day is forgotten when the partition's time enters another minute. The
    flow's rule for "silent" looks at all earlier clocks too, up to an hour differently after a
    clock that was wrong; inputs stay clear of that hour.
    """

    memories: dict[tuple[str, str], _Memory] = field(default_factory=dict)
    minute: int | None = None

    def judge(self, tick: Tick) -> tuple[Verdict, int, int]:
        """Return the verdict, the effective time and the start of memory, both in ns."""
        self._forget(tick.ts_event_ns)
        key = (tick.venue, tick.symbol)
        now = tick.ts_event_ns
        memory = self.memories.get(key)
        if memory is None:
            self.memories[key] = _begin(tick)
            return Verdict.FIRST, now, now
        newest = memory.newest_ns
        if now > newest + MEMORY_NS or now < newest - LATE_LIMIT_NS:
            self.memories[key] = _begin(tick)
            return Verdict.RESTART, now, now
        memory.seen_up_to_ns = max(memory.seen_up_to_ns, now)
        effective = max(newest, now)
        if tick.trade_id is not None:
            last = memory.last_id
            if (
                last is not None
                and tick.trade_id <= last
                and effective - memory.last_id_ns <= MEMORY_NS
            ):
                return Verdict.DUPLICATE, newest, memory.started_ns
            memory.last_id = tick.trade_id
            memory.last_id_ns = effective
        memory.newest_ns = effective
        verdict = Verdict.LATE if now < newest else Verdict.ON_TIME
        return verdict, effective, memory.started_ns

    def _forget(self, now: int) -> None:
        minute = now // MINUTE_NS
        if self.minute is not None and minute != self.minute:
            self.memories = {
                key: memory
                for key, memory in self.memories.items()
                if now - memory.seen_up_to_ns <= DAY_NS
            }
        self.minute = minute


def _begin(tick: Tick) -> _Memory:
    now = tick.ts_event_ns
    return _Memory(now, now, tick.trade_id, now, now)
