"""The pipeline's steps: each takes a batch and returns it with what the step adds.

A step object is shared by the workers of a process and holds one state per ownership of a
partition, made when its first batch comes and forgotten with its last; the batches of an ownership
always come from the same worker.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flows.codec.batch import (
    DUPLICATE,
    GAP,
    LATE,
    RESTART,
    RawBatch,
    TickBatch,
)
from flows.codec.decode import decode
from flows.codec.parsed_ticks import TickParser
from flows.codec.rows import FeatureRows, TargetScores
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Parse
from flows.features import FeatureState, Fold
from flows.monitoring.crowding import CrowdingWatch
from flows.monitoring.metrics import PipelineMetrics
from flows.numeric.arrays import Int64
from flows.numeric.background import BackgroundKernel
from flows.scoring.scorer import Scorer
from flows.stages.ownership import PerOwnership
from schemas.dead_letters import DeadLetter
from schemas.features import MAX_SYMBOLS


@dataclass(frozen=True, slots=True)
class Decoded:
    """A raw batch with its usable ticks and its dead letters."""

    raw: RawBatch
    ticks: TickBatch
    dead: list[DeadLetter]
    symbols: SymbolTable


@dataclass(frozen=True, slots=True)
class Featured:
    """A decoded batch with its features; ``rows`` are those that are output, int64, rising."""

    decoded: Decoded
    features: FeatureRows
    rows: Int64


@dataclass(frozen=True, slots=True)
class Scored:
    """A batch with the scores of ``rows``; ``rows`` is empty in a batch that is not emitted."""

    featured: Featured
    rows: Int64
    scores: list[TargetScores]
    ts_scored_ns: int


class DecodeStep:
    """Raw batches to columns and dead letters.

    Parameters
    ----------
    topic
        Where the batches come from.
    allowed
        See :func:`flows.codec.decode.decode`.
    max_symbols
        As of :class:`flows.features.FeatureState`.
    parse
        Returns the compiled parser of ticks, None as long as it is not there; by default never.
    """

    def __init__(
        self,
        topic: str,
        allowed: frozenset[str],
        metrics: PipelineMetrics,
        max_symbols: int = MAX_SYMBOLS,
        parse: Callable[[], Parse | None] = lambda: None,
    ) -> None:
        self._topic = topic
        self._allowed = allowed
        self._max_symbols = max_symbols
        self._metrics = metrics
        self._symbols = PerOwnership(lambda _partition: SymbolTable())
        self._parsers = PerOwnership(lambda _partition: TickParser(parse))

    def __call__(self, raw: RawBatch) -> Decoded:
        """Decode one batch."""
        symbols = self._symbols.of(raw).trimmed(self._max_symbols)
        self._symbols.put(raw, symbols)
        ticks, dead = decode(raw, symbols, self._topic, self._allowed, self._parsers.of(raw))
        if raw.standby:
            self._metrics.followed.inc(len(raw.values))
        elif raw.values:
            self._metrics.batch_size.observe(len(raw.values))
            count = self._metrics.ticks if raw.emit else self._metrics.rebuilt
            count.inc(len(raw.values))
        return Decoded(raw, ticks, dead, symbols)


class FeatureStep:
    """Columns to feature rows.

    Parameters
    ----------
    kernel
        Computes them at once, faster from when it is compiled on; None for the compiled form,
        which the first batch then waits for.
    max_symbols
        As of :class:`flows.features.FeatureState`.
    """

    def __init__(
        self,
        metrics: PipelineMetrics,
        kernel: BackgroundKernel[Fold] | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        self._metrics = metrics
        self._kernel = kernel
        self._max_symbols = max_symbols
        self._crowding = CrowdingWatch(max_symbols)
        self._states = PerOwnership(self._fresh)

    def __call__(self, decoded: Decoded) -> Featured:
        """Fold one batch into its partition's state."""
        state = self._states.of(decoded.raw)
        if self._kernel is not None and not decoded.raw.emit and not decoded.raw.standby:
            self._kernel.rebuild(len(decoded.ticks))
        before = state.crowded_out
        features = state.update(decoded.ticks)
        if decoded.raw.emit and state.crowded_out > before:
            self._metrics.crowded_out.inc(state.crowded_out - before)
            self._crowding.note(state.crowded_out - before)
        rows = np.flatnonzero((features.flags & DUPLICATE) == 0)
        if decoded.raw.emit:
            self._count(features)
        return Featured(decoded, features, rows)

    def _fresh(self, _partition: int) -> FeatureState:
        form = None if self._kernel is None else self._kernel.current
        return FeatureState(form, self._max_symbols)

    def _count(self, features: FeatureRows) -> None:
        counted = (
            (DUPLICATE, self._metrics.duplicates),
            (LATE, self._metrics.late),
            (GAP, self._metrics.gaps),
            (RESTART, self._metrics.restarts),
        )
        seen = int(np.bitwise_or.reduce(features.flags)) if len(features.flags) else 0
        for bit, counter in counted:
            if seen & bit:
                counter.inc(int(np.count_nonzero(features.flags & bit)))


class ScoreStep:
    """Feature rows to scores; follows the model store between two batches."""

    def __init__(self, scorer: Scorer, metrics: PipelineMetrics) -> None:
        self._scorer = scorer
        self._metrics = metrics

    def __call__(self, featured: Featured) -> Scored:
        """Score one batch with one set of models."""
        for swap in self._scorer.poll():
            self._metrics.swaps.labels(swap.target).inc()
        rows = featured.rows
        if not featured.decoded.raw.emit:
            rows = rows[:0]
        if len(rows) == 0:
            return Scored(featured, rows, [], 0)
        values = featured.features.values
        scores = self._scorer.score(values if len(rows) == len(values) else values[rows])
        return Scored(featured, rows, scores, time.time_ns())
