"""The step of ``flows.outcomes``: join each prediction with its realized value."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import structlog

from flows.codec.batch import RawBatch, partition_key
from flows.codec.outputs import OutputBatch, Records
from flows.codec.pending_predictions import (
    EffectiveTimes,
    ModelSet,
    ModelSetTable,
    PendingPredictions,
    PredictionBatch,
    decode_predictions,
)
from flows.codec.symbols import SymbolTable
from flows.monitoring.quality import Evaluated, FirstOfSecond, QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.numeric.background import BackgroundKernel
from flows.stages.known import Known, KnownTarget, Message, evaluated_rows, outcome_messages
from flows.stages.ownership import PerOwnership
from flows.stages.specs import Span, span_of
from flows.targets import NOTHING_HELD, Realize, Realizer, truth
from schemas import topics
from schemas.features import MAX_SYMBOLS
from schemas.models import TargetSpec
from schemas.quality import QualityWindow

SpecOf = Callable[[str], TargetSpec | None]
Publish = Callable[[list[list[QualityWindow]]], None]
DEFAULT_SPAN: Span = (60, 3600)


class _Horizon:
    """The predictions of one partition that wait for the truth of one horizon.

    Parameters
    ----------
    since
        Offset of the first prediction it sees, for a horizon that is added while the flow runs. It
        has outcomes for predictions from where its state no longer depends on what lies before
        ``since``: so every outcome is the one that a run from the beginning finds. None for one
        that has been there since the rebuild.
    """

    def __init__(
        self,
        span: Span,
        form: Callable[[], Realize] | None,
        max_symbols: int,
        since: int | None = None,
    ) -> None:
        self.span = span
        self._since = since
        self.complete_from = 0 if since is None else NOTHING_HELD
        self.left_out = 0  # in the newest batch, because the horizon was not complete
        self.realizer = Realizer(*span, form=form, max_symbols=max_symbols)
        self.pending = PendingPredictions()
        self.counted: dict[str, FirstOfSecond] = {}

    def push(self, batch: PredictionBatch) -> "list[Known]":
        """Fold a batch in; return what it makes known, by batch and set of models."""
        since = self._since
        # Only once something was folded in does the state say what it depends on.
        seen = since is not None and len(batch) > 0 and batch.offset[0] > since
        if since is not None and seen and self.realizer.rebuild_from > since:
            self._since, self.complete_from = None, int(batch.offset[0])
        self.pending.add(batch)
        realized = self.realizer.update(
            offset=batch.offset,
            symbol_id=batch.symbol_id,
            ts_event_ns=batch.ts_event_ns,
            mid=batch.mid,
            late=batch.late,
            gap=batch.gap,
            restart=batch.restart,
        )
        known = []
        self.left_out = 0
        for source, rows, places in self.pending.take(realized.number):
            whole = source.offset[rows] >= self.complete_from
            self.left_out += int(np.count_nonzero(~whole))
            for model_set in np.unique(source.model_set[rows]).tolist():
                chosen = whole & (source.model_set[rows] == model_set)
                if chosen.any():
                    known.append(Known(source, rows[chosen], places[chosen], model_set, realized))
        return known


class _Partition:
    """All state of one partition."""

    def __init__(
        self, spans: Iterable[Span], form: Callable[[], Realize] | None, max_symbols: int
    ) -> None:
        self.symbols = SymbolTable()
        self.models = ModelSetTable()
        self.horizons = [_Horizon(span, form, max_symbols) for span in spans]
        self.times = EffectiveTimes()
        self._form = form
        self._max_symbols = max_symbols

    def trim(self) -> None:
        """Let the numbers of symbols that were silent for longest stand for others."""
        table = self.symbols.trimmed(self._max_symbols)
        if table is self.symbols:
            return
        self.symbols = table
        self.times.forget(table.left_out())
        for horizon in self.horizons:
            for counted in horizon.counted.values():
                counted.forget(table.left_out())

    def trim_models(self) -> None:
        """Let the numbers of sets of models that no pending prediction names stand for others."""
        if self.models.crowded:
            sets = [horizon.pending.model_sets() for horizon in self.horizons]
            self.models.keep(set().union(*sets))

    def meet(self, specs: Iterable[TargetSpec], offset: int) -> None:
        """Add horizons for targets of a span that no horizon has yet."""
        for spec in specs:
            span = span_of(spec)
            if all(horizon.span != span for horizon in self.horizons):
                self.horizons.append(_Horizon(span, self._form, self._max_symbols, offset))
                structlog.get_logger().info(
                    "outcomes of a new horizon begin once its lookback is full",
                    target=spec.name,
                    horizon_s=span[0],
                    lookback_s=span[1],
                )

    @property
    def rebuild_from(self) -> int:
        return min(horizon.realizer.rebuild_from for horizon in self.horizons)


class OutcomeJoin:
    """Join predictions with the values realized after them: raw batches to outcomes.

    Shared by the workers of a process; holds one state per partition, and one window of live
    quality for all of them.

    Parameters
    ----------
    spec_of
        The target that a model was trained for; None where it has no outcomes.
    spans
        Horizons and lookbacks of the labels to begin with, seconds. Others are added when a
        prediction of such a target comes.
    publish
        Called with the windows of each target that live quality has a new point of; must be quick.
    kernel
        Finds the truth at once, faster from when it is compiled on; None for the compiled form,
        which the first batch then waits for.
    max_symbols
        As of :class:`flows.targets.Realizer`.
    """

    def __init__(
        self,
        spec_of: SpecOf,
        spans: Iterable[Span],
        monitor: QualityMonitor,
        metrics: QualityMetrics,
        publish: Publish,
        kernel: BackgroundKernel[Realize] | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        self._kernel = kernel
        self._max_symbols = max_symbols
        self._spec_of = spec_of
        self._spans = tuple(sorted(set(spans)))
        self._monitor = monitor
        self._metrics = metrics
        self._publish = publish
        self._lock = threading.Lock()
        self._partitions = PerOwnership(self._fresh)

    def __call__(self, raw: RawBatch) -> tuple[str, OutputBatch]:
        """Return the outcomes that this batch makes known; the key names its partition."""
        state = self._partitions.of(raw)
        if self._kernel is not None and not raw.emit:
            self._kernel.rebuild(len(raw.values))
        records = self._join(raw, state) if raw.values else []
        if raw.last:
            with self._lock:
                self._monitor.forget(raw.partition)
        return partition_key(raw.partition), OutputBatch(
            partition=raw.partition,
            next_offset=raw.next_offset,
            rebuild_from=min(state.rebuild_from, raw.next_offset),
            caught_up=raw.caught_up,
            emit=raw.emit,
            records=records if raw.emit else [],
            oldest_ms=raw.timestamps_ms[0] if raw.timestamps_ms else None,
            newest_ms=raw.timestamps_ms[-1] if raw.timestamps_ms else None,
            epoch=raw.epoch,
        )

    def _fresh(self, _partition: int) -> _Partition:
        form = None if self._kernel is None else self._kernel.current
        return _Partition(self._spans, form, self._max_symbols)

    def _join(self, raw: RawBatch, state: _Partition) -> list[Records]:
        state.trim()
        state.trim_models()
        batch, broken = decode_predictions(raw.values, raw.offsets, state.symbols, state.models)
        self._count(raw, len(batch), broken)
        batch = replace(
            batch,
            ts_effective_ns=state.times.of(batch.symbol_id, batch.ts_event_ns, batch.late),
        )
        if len(batch):
            state.meet(self._specs_in(batch, state), int(batch.offset[0]))
        names = state.symbols.names
        evaluated: list[Evaluated] = []
        messages: list[Message] = []
        for horizon in state.horizons:
            for known in horizon.push(batch):
                models = state.models.known[known.model_set]
                targets = self._targets(models, known, horizon.span)
                if not targets:
                    # Counted once, by the first horizon, where no other one has a target either.
                    if raw.emit and horizon is state.horizons[0] and not self._has_target(models):
                        self._metrics.dropped.inc(len(known.rows))
                    continue
                evaluated += evaluated_rows(targets, known, horizon.counted, raw.partition)
                found = outcome_messages(targets, known, names, batch)
                messages += found
                if raw.emit:
                    self._metrics.outcomes.inc(len(found))
                    self._metrics.dropped.inc(len(known.rows) - len(found))
            if raw.emit:
                self._metrics.dropped.inc(horizon.left_out)
        self._watch(evaluated, show=raw.emit)
        if not messages:
            return []
        # In the order of what made them known, then of the predictions themselves.
        messages.sort(key=lambda message: message[:2])
        return [
            Records(
                topics.OUTCOMES,
                np.array([known_offset for known_offset, *_rest in messages], np.int64),
                [key for _known, _offset, key, _value in messages],
                [value for _known, _offset, _key, value in messages],
            )
        ]

    def _specs_in(self, batch: PredictionBatch, state: _Partition) -> Iterator[TargetSpec]:
        """Return the targets of the models in a batch, as far as they are known."""
        for number in np.unique(batch.model_set).tolist():
            for own in state.models.known[number]:
                spec = self._spec_of(own.ref)
                if spec is not None:
                    yield spec

    def _has_target(self, models: ModelSet) -> bool:
        return any(self._spec_of(own.ref) is not None for own in models)

    def _count(self, raw: RawBatch, usable: int, broken: list[tuple[int, str]]) -> None:
        if not raw.emit:
            self._metrics.rebuilt.inc(usable)
            return
        self._metrics.predictions.inc(usable)
        self._metrics.unreadable.inc(len(broken))
        for offset, problem in broken:
            structlog.get_logger().warning(
                "not a prediction", partition=raw.partition, offset=offset, cause=problem
            )

    def _targets(self, models: ModelSet, known: Known, span: Span) -> list[KnownTarget]:
        targets = []
        column = 0
        for own in models:
            spec = self._spec_of(own.ref)
            if spec is not None and span_of(spec) == span:
                value = known.realized.values(spec)[known.places]
                targets.append(KnownTarget(own, spec.kind, column, value, truth(value, spec)))
            column += 1 + len(own.shadow)
        return targets

    def _watch(self, evaluated: list[Evaluated], *, show: bool) -> None:
        with self._lock:
            for each in evaluated:
                self._monitor.observe(each)
            points = self._monitor.points() if show else []
            for point in points:
                self._metrics.show(point)
            windows = [self._monitor.windows(point.target) for point in points]
        if windows:
            self._publish(windows)
