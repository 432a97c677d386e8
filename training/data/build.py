"""From ticks to rows: features by the flow's kernel, labels by the flow's targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from flows.codec.batch import DUPLICATE, WARM, TickBatch
from flows.errors import TrainingError
from flows.features import FeatureState, feature_kernel
from flows.numeric.arrays import Bool, Float32, Float64, Int64
from flows.numeric.time import NS_PER_S
from flows.targets import quantity
from schemas.features import MAX_SYMBOLS, NAMES
from schemas.models import TargetSpec
from training.data.dataset import Dataset, first_of_each, join
from training.data.ticklog import TickLog, take

CHUNK = 32_768
Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of a whole log.

    Attributes
    ----------
    values
        float32, shape (n, len(NAMES)), NaN where undefined.
    flags, mid, ts_effective_ns
        As in :class:`flows.features.FeatureRows`.
    counters
        Duplicates, late ticks, gaps and restarts.
    """

    values: Float32
    flags: np.ndarray[tuple[int], np.dtype[np.uint8]]
    mid: Float64
    ts_effective_ns: Int64
    counters: dict[str, int]

    @property
    def scored(self) -> Bool:
        """Rows that the flow outputs: all but duplicates."""
        return np.asarray((self.flags & DUPLICATE) == 0, np.bool_)

    @property
    def warm(self) -> Bool:
        """Rows with enough history, no duplicates."""
        return np.asarray((self.flags & WARM) != 0, np.bool_) & self.scored


def compute_features(
    batch: TickBatch, step: Step = lambda _ticks: None, max_symbols: int = MAX_SYMBOLS
) -> FeatureTable:
    """Run the kernel over a log, in chunks that stay in the processor's cache.

    Parameters
    ----------
    step
        Called with the number of ticks done since the last call.
    max_symbols
        As of :class:`flows.features.FeatureState`.
    """
    count = len(batch)
    form = feature_kernel().form_for(count)
    state = FeatureState(lambda: form, max_symbols=max_symbols)
    values = np.empty((count, len(NAMES)), np.float32)
    flags = np.empty(count, np.uint8)
    mid = np.empty(count, np.float64)
    times = np.empty(count, np.int64)
    for start in range(0, count, CHUNK):
        part = slice(start, min(start + CHUNK, count))
        rows = state.update(take(batch, part))
        values[part] = rows.values
        flags[part] = rows.flags
        mid[part] = rows.mid
        times[part] = rows.ts_effective_ns
        step(part.stop - part.start)
    counters = {
        "late": state.late,
        "duplicates": state.duplicates,
        "gaps": state.gaps,
        "restarts": state.restarts,
    }
    return FeatureTable(values, flags, mid, times, counters)


def quantities(batch: TickBatch, table: FeatureTable, spec: TargetSpec) -> Float64:
    """Return the label's quantity of every tick; NaN where it is dropped or not yet known."""
    return quantity(spec, batch.symbol_id, table.ts_effective_ns, table.mid, table.flags)


def _once_each(joined: Dataset, every_ns: int) -> Dataset:
    """Return the first row of each symbol and interval: two logs may have watched one market."""
    count = len(joined)
    rows = first_of_each(joined.symbol, joined.ts_ns, every_ns, np.ones(count, np.bool_))
    if len(rows) == count:
        return joined
    structlog.get_logger().warning(
        "logs overlap; of each symbol and interval one row is taken",
        rows=len(rows),
        left_out=count - len(rows),
        sources=joined.sources,
    )
    return replace(
        joined,
        values=joined.values[rows],
        ts_ns=joined.ts_ns[rows],
        symbol=joined.symbol[rows],
        quantity=joined.quantity[rows],
    )


def moves(batch: TickBatch, mid: Float64) -> bool:
    """Return whether any symbol has two different mid prices, float64, shape (n,)."""
    known = np.isfinite(mid)
    symbols, prices = batch.symbol_id[known], mid[known]
    order = np.argsort(symbols, kind="stable")
    same_symbol = np.diff(symbols[order]) == 0
    return bool((same_symbol & (np.diff(prices[order]) != 0)).any())


def build_dataset(
    logs: Sequence[TickLog],
    spec: TargetSpec,
    *,
    every_s: float = 1.0,
    step: Step = lambda _ticks: None,
) -> Dataset:
    """Turn logs into rows: warm, label known, the first of each symbol and ``every_s``.

    Raises
    ------
    TrainingError
        If no row is left.
    """
    every_ns = max(1, round(every_s * NS_PER_S))
    parts: list[Dataset] = []
    moving = False
    for log in logs:
        table = compute_features(log.batch, step, log.max_symbols)
        known = quantities(log.batch, table, spec)
        usable = table.warm & np.isfinite(known)
        moving |= bool(usable.any()) or moves(log.batch, table.mid)
        rows = first_of_each(log.batch.symbol_id, table.ts_effective_ns, every_ns, usable)
        parts.append(
            Dataset(
                values=table.values[rows],
                ts_ns=table.ts_effective_ns[rows],
                symbol=log.batch.symbol_id[rows],
                quantity=known[rows],
                symbols=log.names,
                provenance=log.provenance,
                sources=[log.name],
                ticks=len(log),
                counters={**table.counters, "dead letters": log.dead},
            )
        )
    found = _once_each(join(parts), every_ns)
    if len(found) == 0 and not moving and found.ticks > 1:
        msg = (
            f"nothing to learn: in {found.ticks} ticks of {', '.join(found.symbols)} no price"
            " differs from the one before it"
        )
        raise TrainingError(msg)
    if len(found) == 0:
        met = ", ".join(f"{count} {name}" for name, count in found.counters.items() if count)
        msg = (
            f"too few ticks: none of {found.ticks} is warm (300 s of history) and has its next"
            f" {spec.horizon_s} s recorded without a gap ({met or 'nothing unusual'}); gaps longer"
            " than the memory of 3600 s restart a symbol"
        )
        raise TrainingError(msg)
    return found
