"""From raw messages to what must be on each output topic."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.features import FEATURE_SET, MAX_SYMBOLS, WARM_AFTER_S
from schemas.ticks import Tick
from tests.oracle.marks import Marks
from tests.oracle.order import Decision, PartitionOrder
from tests.oracle.time import NS_PER_S
from tests.oracle.validity import Reasons, validate
from tests.support.kafka.tools import Message

Origin = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """A scored tick: one message on ``predictions`` and one on ``ticks.features``."""

    tick: Tick
    key: bytes
    decision: Decision
    effective_ns: int
    mid: float
    warm: bool
    gap: bool

    def prediction_fields(self, origin: Origin) -> dict[str, object]:
        """Return every field of the prediction that does not depend on a model or a clock."""
        tick = self.tick
        return {
            "symbol": tick.symbol,
            "venue": tick.venue,
            "ts_event_ns": tick.ts_event_ns,
            "trade_id": tick.trade_id,
            "price": tick.price,
            "mid": self.mid,
            "warm": self.warm,
            "late": self.decision is Decision.LATE,
            "gap": self.gap,
            "restart": self.decision in {Decision.FIRST, Decision.RESTART},
            "feature_set": FEATURE_SET,
            "partition": origin[0],
            "offset": origin[1],
        }

    def feature_fields(self, origin: Origin) -> dict[str, object]:
        """Return every field of the feature row but the values."""
        tick = self.tick
        return {
            "symbol": tick.symbol,
            "venue": tick.venue,
            "ts_event_ns": tick.ts_event_ns,
            "feature_set": FEATURE_SET,
            "warm": self.warm,
            "partition": origin[0],
            "offset": origin[1],
        }


@dataclass(frozen=True, slots=True)
class ExpectedDeadLetter:
    """A refused message: one on ``dead.letters``."""

    reasons: Reasons
    payload: bytes


@dataclass
class Expected:
    """What the outputs must contain, by (partition, offset) on ``ticks.raw``."""

    rows: dict[Origin, ExpectedRow] = field(default_factory=dict)
    dead_letters: dict[Origin, ExpectedDeadLetter] = field(default_factory=dict)
    duplicates: set[Origin] = field(default_factory=set)

    @property
    def inputs(self) -> int:
        """How many messages were judged."""
        return len(self.rows) + len(self.dead_letters) + len(self.duplicates)


def expect(
    raw: Iterable[Message],
    allowed: frozenset[str] = frozenset(),
    max_symbols: int = MAX_SYMBOLS,
) -> Expected:
    """Judge every message of ``ticks.raw``, whole partitions in offset order.

    Parameters
    ----------
    allowed
        Symbols that are let in; all, if empty.
    max_symbols
        How many a partition remembers.
    """
    expected = Expected()
    partitions: dict[int, PartitionOrder] = {}
    marks: dict[int, Marks] = {}
    for message in sorted(raw, key=lambda each: (each.partition, each.offset)):
        origin = (message.partition, message.offset)
        waiting = marks.setdefault(message.partition, Marks(allowed))
        tick = validate(message.value, message.timestamp_ms, allowed)
        if not isinstance(tick, Tick):
            expected.dead_letters[origin] = ExpectedDeadLetter(tick, message.value)
            waiting.refuse(message.offset, message.value)
            continue
        marked = waiting.accept(message.offset, tick)
        order = partitions.setdefault(message.partition, PartitionOrder(max_symbols))
        placed = order.decide((tick.venue, tick.symbol), tick.ts_event_ns, tick.trade_id)
        if placed.decision is Decision.DUPLICATE:
            expected.duplicates.add(origin)
            continue
        expected.rows[origin] = ExpectedRow(
            tick=tick,
            key=tick.symbol.encode(),
            decision=placed.decision,
            effective_ns=placed.effective_ns,
            mid=_mid(tick),
            warm=placed.effective_ns - placed.started_ns >= WARM_AFTER_S * NS_PER_S,
            gap=(tick.gap or marked) and not placed.follows,
        )
    return expected


def _mid(tick: Tick) -> float:
    if tick.bid is None or tick.ask is None:
        return tick.price
    whole = tick.bid + tick.ask
    return whole / 2 if math.isfinite(whole) else tick.bid / 2 + tick.ask / 2
