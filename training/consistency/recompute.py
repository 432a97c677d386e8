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
_END = 2**63 - 1
_DTYPES = {
    "offset": "i8",
    "symbol_id": "i4",
    "ts_event_ns": "i8",
    "ts_effective_ns": "i8",
    "price": "f8",
    "mid": "f8",
    "flags": "u1",
}


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
    _parts: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _dead: dict[int, Reason] = field(default_factory=dict)
    _duplicates: int = 0
    _first_offset: int | None = None
    _first_ns: int | None = None

    def __post_init__(self) -> None:
        self._state = FeatureState(max_symbols=self.max_symbols)

    def add(self, raw: RawBatch, *, keep: bool = True) -> None:
        """Fold the next batch in; its rows are kept where they are asked for."""
        if raw.offsets and self._first_offset is None:
            self._first_offset = raw.offsets[0]
        batch, letters = decode(raw, self._symbols, self.topic, self.allowed)
        if keep:
            self._dead |= {int(letter.offset or 0): letter.reason for letter in letters}
        batch.ticks.clear()
        if len(batch) == 0:
            return
        if self._first_ns is None:
            self._first_ns = int(batch.ts_event_ns[0])
        features = self._state.update(batch)
        scored = np.flatnonzero((features.flags & DUPLICATE) == 0)
        self._duplicates += len(batch) - len(scored)
        if keep:
            for name, column in _columns(batch, features).items():
                self._parts.setdefault(name, []).append(column[scored])

    def take(self, first: int = 0, end: int | None = None) -> Expected:
        """Return the rows with ``first <= offset < end``, and forget all rows."""
        found = self.result(first, end)
        self._parts.clear()
        self._dead.clear()
        return found

    def result(self, first: int = 0, end: int | None = None) -> Expected:
        """Return the rows with ``first <= offset < end``."""
        found = _joined(self._parts)
        # Offsets rise, so the rows are views, which copy nothing.
        ends = [first, _END if end is None else end]
        start, stop = np.searchsorted(found["offset"], ends).tolist()
        asked = {name: column[start:stop] for name, column in found.items()}
        times_ns = asked.pop("ts_effective_ns")
        known = np.ones(len(times_ns), np.bool_)
        if self._first_offset and self._first_ns is not None:  # trimmed: what came before is gone
            known = times_ns > self._first_ns + 2 * MEMORY_NS
        return Expected(
            partition=self.partition,
            known=known,
            symbols=self._symbols,
            dead={at: why for at, why in self._dead.items() if ends[0] <= at < ends[1]},
            duplicates=self._duplicates,
            **asked,
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


def _columns(batch: TickBatch, features: FeatureRows) -> dict[str, np.ndarray]:
    return {
        "offset": batch.offset,
        "symbol_id": batch.symbol_id,
        "ts_event_ns": batch.ts_event_ns,
        "ts_effective_ns": features.ts_effective_ns,
        "price": batch.price,
        "mid": features.mid,
        "flags": features.flags,
        "values": features.values,
    }


def _joined(parts: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Put a log's parts together, column by column; each column's parts are let go of then."""
    if not parts:
        nothing = {name: np.empty(0, code) for name, code in _DTYPES.items()}
        return {**nothing, "values": np.empty((0, len(NAMES)), np.float32)}
    for some in parts.values():
        some[:] = [np.concatenate(some)]
    return {name: whole for name, [whole] in parts.items()}
