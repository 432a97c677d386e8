"""The stage of ``flows.candles``: raw ticks in, finished candles out."""

import msgspec
import numpy as np

from flows.codec.batch import (
    DUPLICATE,
    GAP,
    RESTART,
    RawBatch,
    TickBatch,
    partition_key,
)
from flows.codec.decode import decode
from flows.codec.outputs import OutputBatch, Records
from flows.codec.rows import FeatureRows
from flows.codec.symbols import SymbolTable
from flows.features import NOTHING_HELD, FeatureState
from flows.features.kernel import Fold
from flows.monitoring.candle_metrics import CandleMetrics
from flows.numeric.arrays import Int64
from flows.numeric.background import BackgroundKernel
from flows.stages.candle_builder import CandleBuilder, CandleTick, Closed
from flows.stages.ownership import PerOwnership
from schemas import topics
from schemas.features import MAX_SYMBOLS

_ENCODER = msgspec.json.Encoder()


class _Partition:
    """All state of one partition."""

    def __init__(
        self, partition: int, kernel: BackgroundKernel[Fold] | None, max_symbols: int
    ) -> None:
        self.symbols = SymbolTable()
        # Says what is a duplicate, a gap or a restart, so that candles and predictions agree.
        self.features = FeatureState(None if kernel is None else kernel.current, max_symbols)
        self.builder = CandleBuilder(partition, max_symbols)
        self.late = 0
        self.rebuild_from = NOTHING_HELD


class CandleStage:
    """Raw batches of ``ticks.raw`` to candles.

    A message that is no usable tick is left out: ``flows.pipeline`` makes the dead letter of it.

    Parameters
    ----------
    allowed
        See :func:`flows.codec.decode.decode`.
    kernel, max_symbols
        As of :class:`flows.stages.score.FeatureStep`.
    """

    def __init__(
        self,
        allowed: frozenset[str],
        metrics: CandleMetrics,
        kernel: BackgroundKernel[Fold] | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        self._allowed = allowed
        self._kernel = kernel
        self._max_symbols = max_symbols
        self._metrics = metrics
        self._partitions = PerOwnership(
            lambda partition: _Partition(partition, kernel, max_symbols)
        )

    def __call__(self, raw: RawBatch) -> tuple[str, OutputBatch]:
        """Add one batch; the key names its partition."""
        state = self._partitions.of(raw)
        state.symbols = state.symbols.trimmed(self._max_symbols)
        ticks, dead = decode(raw, state.symbols, topics.TICKS_RAW, self._allowed)
        if self._kernel is not None and not raw.emit:
            self._kernel.rebuild(len(ticks))
        features = state.features.update(ticks)
        # What the state before this batch depends on, its ticks depend on, too.
        depends_on = min([state.rebuild_from, *raw.offsets[:1]])
        closed = state.builder.update(candle_ticks(raw, ticks, features, state.symbols), depends_on)
        state.rebuild_from = min(features.rebuild_from, raw.next_offset)
        if raw.emit:
            self._count(raw, len(dead), closed, state)
        state.late = state.builder.late
        return partition_key(raw.partition), OutputBatch(
            partition=raw.partition,
            next_offset=raw.next_offset,
            rebuild_from=min(state.rebuild_from, state.builder.rebuild_from),
            caught_up=raw.caught_up,
            emit=raw.emit,
            records=[_records(closed)] if closed and raw.emit else [],
            oldest_ms=raw.timestamps_ms[0] if raw.timestamps_ms else None,
            epoch=raw.epoch,
        )

    def _count(self, raw: RawBatch, unusable: int, closed: list[Closed], state: _Partition) -> None:
        self._metrics.ticks.inc(len(raw.values))
        self._metrics.unusable.inc(unusable)
        self._metrics.late.inc(state.builder.late - state.late)
        for one in closed:
            self._metrics.candles.labels(one.candle.interval_s).inc()


def candle_ticks(
    raw: RawBatch, ticks: TickBatch, features: FeatureRows, symbols: SymbolTable
) -> list[CandleTick]:
    """Return the usable ticks of a batch as candles take them."""
    names = symbols.names
    columns = zip(
        ticks.symbol_id.tolist(),
        ticks.offset.tolist(),
        _timestamps_ms(raw, ticks.offset).tolist(),
        ticks.ts_event_ns.tolist(),
        features.ts_effective_ns.tolist(),
        ticks.price.tolist(),
        ticks.size.tolist(),
        features.flags.tolist(),
        strict=True,
    )
    return [
        CandleTick(
            series=names[number],
            offset=offset,
            log_ms=log_ms,
            ts_event_ns=ts_event_ns,
            newest_ns=newest_ns,
            price=price,
            size=size if size == size else None,  # NaN where the tick has none
            gap=bool(flags & GAP),
            restart=bool(flags & RESTART),
            duplicate=bool(flags & DUPLICATE),
        )
        for number, offset, log_ms, ts_event_ns, newest_ns, price, size, flags in columns
    ]


def _timestamps_ms(raw: RawBatch, offsets: Int64) -> Int64:
    places = np.searchsorted(np.asarray(raw.offsets, np.int64), offsets)
    return np.asarray(raw.timestamps_ms, np.int64)[places]


def _records(closed: list[Closed]) -> Records:
    return Records(
        topic=topics.CANDLES,
        offsets=np.array([one.offset for one in closed], np.int64),
        keys=[one.candle.symbol.encode() for one in closed],
        values=[_ENCODER.encode(one.candle) for one in closed],
    )
