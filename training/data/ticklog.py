"""One log of ticks as columns, ready for the kernel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from flows.codec.batch import TickBatch
from flows.codec.symbols import SymbolTable
from flows.errors import TrainingError
from flows.numeric.arrays import Bool, Int64
from schemas.features import MAX_SYMBOLS
from schemas.feeds import Venue
from schemas.models import Provenance

_COLUMNS = tuple(one.name for one in fields(TickBatch) if one.name not in {"partition", "ticks"})


@dataclass(frozen=True, slots=True)
class TickLog:
    """Valid ticks of one partition, capture or folder, in log order.

    Attributes
    ----------
    name
        Name of the source, for manifests and reports.
    symbols
        The log's own numbering of (venue, symbol).
    dead
        Messages that were not usable.
    max_symbols
        How many of its symbols the features remember: as the flow does.
    """

    name: str
    batch: TickBatch
    symbols: SymbolTable
    provenance: Provenance
    dead: int = 0
    max_symbols: int = MAX_SYMBOLS

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def names(self) -> list[str]:
        """``venue:symbol`` by number."""
        return [f"{venue}:{symbol}" for venue, symbol in self.symbols.names]


def concatenate(batches: Sequence[TickBatch], partition: int = 0) -> TickBatch:
    """Put a log's batches together; the decoded messages are left behind."""
    if not batches:
        msg = "too few ticks: the source holds none"
        raise TrainingError(msg)
    columns = {
        name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _COLUMNS
    }
    return TickBatch(partition=partition, ticks=[], **columns)


def take(batch: TickBatch, rows: Int64 | Bool | slice) -> TickBatch:
    """Return some rows of a batch, without its decoded messages."""
    columns = {name: getattr(batch, name)[rows] for name in _COLUMNS}
    return replace(batch, ticks=[], **columns)


def between(log: TickLog, from_ns: int | None, to_ns: int | None) -> TickLog:
    """Return the ticks with ``from_ns <= ts_event_ns < to_ns``."""
    if from_ns is None and to_ns is None:
        return log
    times = log.batch.ts_event_ns
    kept = np.ones(len(times), dtype=bool)
    if from_ns is not None:
        kept &= times >= from_ns
    if to_ns is not None:
        kept &= times < to_ns
    return replace(log, batch=take(log.batch, kept))


def provenance_of(symbols: SymbolTable, otherwise: Provenance) -> Provenance:
    """Return ``simulated`` if any tick is of the simulator, else ``otherwise``."""
    return "simulated" if any(venue == Venue.SIMULATOR for venue, _ in symbols.ids) else otherwise


def total(logs: Iterable[TickLog]) -> int:
    """Count ticks."""
    return sum(len(log) for log in logs)
