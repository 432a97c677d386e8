"""Recompute the outputs of the flow from the log: its own steps, run again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from flows.codec.batch import DUPLICATE, RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.rows import FeatureRows
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.numeric.arrays import Bool, Float32, Float64, Int32, Int64
from flows.numeric.time import NS_PER_HOUR
from schemas.dead_letters import Reason
from schemas.features import MAX_SYMBOLS, NAMES

MEMORY_NS = NS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Expected:
    """One partition of ``ticks.raw``: a row per offset that is scored, rising.

    Attributes
    ----------
    offset
        int64, shape (n,).
    values
        float32, shape (n, len(NAMES)), NaN where undefined.
    flags
        uint8, shape (n,).
    known
        bool, shape (n,): False where the log begins too late for the state to be certain.
    dead
        Reason by offset of what cannot be used.
    duplicates
        How many ticks have no output at all.
    """

    partition: int
    offset: Int64
    symbol_id: Int32
    ts_event_ns: Int64
    price: Float64
    mid: Float64
    flags: np.ndarray[tuple[int], np.dtype[np.uint8]]
    values: Float32
    known: Bool
    symbols: SymbolTable
    dead: dict[int, Reason]
    duplicates: int

    def __len__(self) -> int:
        return len(self.offset)


@dataclass(slots=True)
class Recomputation:
    """Runs a partition's log through decoding and features, batch by batch, in order.

    Parameters
    ----------
    allowed
        See :func:`flows.codec.decode.decode`.
    topic
        Where the log lies, for its dead letters.
    max_symbols
        As of :class:`flows.features.FeatureState`.
    """

    partition: int
    topic: str
    allowed: frozenset[str]
    max_symbols: int = MAX_SYMBOLS
    _symbols: SymbolTable = field(default_factory=SymbolTable)
    _state: FeatureState = field(init=False)
    _parts: list[tuple[TickBatch, FeatureRows, Int64]] = field(default_factory=list)
    _dead: dict[int, Reason] = field(default_factory=dict)
    _duplicates: int = 0
    _first_offset: int | None = None
    _first_ns: int | None = None

    def __post_init__(self) -> None:
        self._state = FeatureState(max_symbols=self.max_symbols)

    def add(self, raw: RawBatch) -> None:
        """Fold the next batch in."""
        if raw.offsets and self._first_offset is None:
            self._first_offset = raw.offsets[0]
        batch, letters = decode(raw, self._symbols, self.topic, self.allowed)
        self._dead |= {int(letter.offset or 0): letter.reason for letter in letters}
        batch.ticks.clear()
        if len(batch) == 0:
            return
        if self._first_ns is None:
            self._first_ns = int(batch.ts_event_ns[0])
        features = self._state.update(batch)
        scored = np.flatnonzero((features.flags & DUPLICATE) == 0)
        self._duplicates += len(batch) - len(scored)
        self._parts.append((batch, _slim(features), scored))

    def result(self, first: int = 0, end: int | None = None) -> Expected:
        """Return the rows with ``first <= offset < end``."""
        columns = {
            name: _joined([getattr(batch, name)[rows] for batch, _, rows in self._parts], dtype)
            for name, dtype in _COLUMNS
        }
        found = {
            name: _joined([getattr(one, name)[rows] for _, one, rows in self._parts], dtype)
            for name, dtype in (("mid", np.float64), ("flags", np.uint8), ("ts_effective_ns", "i8"))
        }
        parts = [features.values[rows] for _, features, rows in self._parts]
        values = np.concatenate(parts) if parts else np.empty((0, len(NAMES)), np.float32)
        known = np.ones(len(values), np.bool_)
        if self._first_offset and self._first_ns is not None:  # trimmed: what came before is gone
            known = found["ts_effective_ns"] > self._first_ns + 2 * MEMORY_NS
        asked = columns["offset"] >= first
        if end is not None:
            asked &= columns["offset"] < end
        inside = {
            at: why for at, why in self._dead.items() if first <= at and (end is None or at < end)
        }
        return Expected(
            partition=self.partition,
            values=values[asked],
            known=known[asked],
            mid=found["mid"][asked],
            flags=found["flags"][asked],
            symbols=self._symbols,
            dead=inside,
            duplicates=self._duplicates,
            **{name: column[asked] for name, column in columns.items()},
        )


_COLUMNS = (
    ("offset", np.int64),
    ("symbol_id", np.int32),
    ("ts_event_ns", np.int64),
    ("price", np.float64),
)


def recompute(
    batches: Iterable[RawBatch], topic: str, allowed: frozenset[str]
) -> dict[int, Recomputation]:
    """Run a whole topic, partitions mixed, each in order."""
    runs: dict[int, Recomputation] = {}
    for raw in batches:
        run = runs.get(raw.partition)
        if run is None:
            run = runs[raw.partition] = Recomputation(raw.partition, topic, allowed)
        run.add(raw)
    return runs


def _slim(features: FeatureRows) -> FeatureRows:
    """Let go of the float64 matrix: what is served is its float32."""
    made = FeatureRows(np.empty((0, 0)), features.flags, features.mid, features.ts_effective_ns, 0)
    made.__dict__["values"] = features.values  # where its cached property looks first
    return made


def _joined(parts: list[np.ndarray], dtype: object) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype)  # type: ignore[call-overload]
