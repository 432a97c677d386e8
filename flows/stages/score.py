"""The pipeline's steps: each takes a batch and returns it with what the step adds.

A step object is shared by the workers of a process and holds one state per ownership of a
partition, made when its first batch comes and forgotten with its last; the batches of an ownership
always come from the same worker.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from flows.codec.batch import (
    DUPLICATE,
    GAP,
    LATE,
    RESTART,
    RawBatch,
    TickBatch,
    partition_key,
)
from flows.codec.decode import decode
from flows.codec.encode import (
    Messages,
    SymbolText,
    encode_dead_letters,
    feature_rows,
    predictions,
    unscorable_dead_letters,
)
from flows.codec.outputs import Latest, OutputBatch, Records
from flows.codec.parsed_ticks import TickParser
from flows.codec.row_writer import RowWriter, Write
from flows.codec.rows import FeatureRows, TargetScores
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Parse
from flows.features import FeatureState, Fold
from flows.monitoring.crowding import CrowdingWatch
from flows.monitoring.metrics import PipelineMetrics
from flows.numeric.arrays import Int32, Int64
from flows.numeric.background import BackgroundKernel
from flows.numeric.time import NS_PER_S
from flows.scoring.scorer import Scorer
from flows.stages.ownership import PerOwnership
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.features import MAX_SYMBOLS

PASSED_EVERY_NS = 5 * NS_PER_S
"""Of event time, between two points of the history that a batch passed."""


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


class EncodeStep:
    """Scores to the messages that the sink writes.

    Parameters
    ----------
    topic
        Where the batches come from, for dead letters.
    publish_features
        Also write the feature rows.
    packed_features
        Write their values as base64 of float32 instead of as numbers.
    dead_letter_bytes
        Largest message that ``dead.letters`` takes; None for any.
    note_dead
        Called with the counts of dead letters by reason of each batch that has any.
    write
        Returns the compiled writer of messages, None as long as it is not there; by default
        never.
    """

    def __init__(
        self,
        topic: str,
        metrics: PipelineMetrics,
        *,
        publish_features: bool,
        packed_features: bool = False,
        dead_letter_bytes: int | None = None,
        note_dead: Callable[[Mapping[str, int]], None] = lambda _counts: None,
        write: Callable[[], Write | None] = lambda: None,
    ) -> None:
        self._note_dead = note_dead
        self._topic = topic
        self._metrics = metrics
        self._publish_features = publish_features
        self._packed_features = packed_features
        self._dead_letter_bytes = dead_letter_bytes
        self._write = write
        self._texts: dict[tuple[int, int], SymbolText] = {}
        self._writers: dict[tuple[int, int], RowWriter] = {}

    def __call__(self, scored: Scored) -> tuple[str, OutputBatch]:
        """Encode one batch; the key names its partition."""
        decoded = scored.featured.decoded
        raw = decoded.raw
        output = _Builder()
        if raw.emit and raw.values:
            self._encode(scored, output)
        if raw.last:
            key = raw.partition, raw.epoch
            self._texts.pop(key, None)
            self._writers.pop(key, None)
        batch = OutputBatch(
            partition=raw.partition,
            next_offset=raw.next_offset,
            rebuild_from=decoded.symbols.gap_marks.rebuild_from(
                scored.featured.features.rebuild_from, raw.next_offset
            ),
            caught_up=raw.caught_up,
            emit=raw.emit,
            records=output.records,
            latest=output.latest,
            passed=output.passed,
            oldest_ms=raw.timestamps_ms[0] if raw.timestamps_ms else None,
            newest_ms=raw.timestamps_ms[-1] if raw.timestamps_ms else None,
            first_event_ns=int(decoded.ticks.ts_event_ns[0]) if len(decoded.ticks) else None,
            first_received_ns=decoded.ticks.ticks[0].ts_recv_ns if decoded.ticks.ticks else None,
            scored_ns=scored.ts_scored_ns if len(scored.rows) else None,
            epoch=raw.epoch,
        )
        return partition_key(raw.partition), batch

    def _encode(self, scored: Scored, output: "_Builder") -> None:
        decoded, features = scored.featured.decoded, scored.featured.features
        ticks = decoded.ticks
        key = decoded.raw.partition, decoded.raw.epoch
        text = self._texts.get(key)
        if text is None or text.symbols is not decoded.symbols:
            text = self._texts[key] = SymbolText(decoded.symbols)
        text.refresh()
        render = self._writers.get(key)
        if render is None:
            render = self._writers[key] = RowWriter(self._write)
        messages, unscorable = predictions(
            ticks, features, scored.rows, scored.scores, scored.ts_scored_ns, text, render
        )
        output.add(topics.PREDICTIONS, messages, ticks, text)
        output.add_latest(messages, ticks, scored.ts_scored_ns, text)
        output.add_passed(messages, ticks, scored.ts_scored_ns, text)
        self._metrics.predictions.inc(len(messages.values))
        if self._publish_features:
            rows = feature_rows(
                ticks, features, scored.rows, text, render, packed=self._packed_features
            )
            output.add(topics.TICKS_FEATURES, rows, ticks, text)
        dead = decoded.dead
        if unscorable:
            raw = decoded.raw
            dead = dead + unscorable_dead_letters(
                ticks, unscorable, raw.offsets, raw.values, self._topic
            )
            dead.sort(key=lambda each: each.offset or 0)
        output.add_dead(dead, self._dead_letter_bytes)
        if dead:
            counts = Counter(each.reason.value for each in dead)
            for reason, count in counts.items():
                self._metrics.dead_letters.labels(reason).inc(count)
            self._note_dead(counts)


@dataclass(slots=True)
class _Builder:
    """Gathers a batch's outputs."""

    records: list[Records] = field(default_factory=list)
    latest: list[Latest] = field(default_factory=list)
    passed: list[Latest] = field(default_factory=list)

    def add(self, topic: str, messages: Messages, ticks: TickBatch, text: SymbolText) -> None:
        if messages.values:
            numbers = ticks.symbol_id[messages.rows].tolist()
            keys: list[bytes | None] = [text.keys[number] for number in numbers]
            self.records.append(Records(topic, ticks.offset[messages.rows], keys, messages.values))

    def add_latest(
        self, messages: Messages, ticks: TickBatch, ts_scored_ns: int, text: SymbolText
    ) -> None:
        numbers = ticks.symbol_id[messages.rows]
        last = np.full(len(text.names), -1)
        last[numbers] = np.arange(len(numbers))  # later rows replace earlier ones
        # A symbol of two venues has one entry: the later row counts there too.
        newest = {text.names[numbers[row]]: row for row in np.sort(last[last >= 0]).tolist()}
        self.latest = [
            Latest(
                name,
                int(ticks.offset[messages.rows[row]]),
                ts_scored_ns,
                messages.values[row],
                ticks.partition,
                int(ticks.ts_event_ns[messages.rows[row]]),
            )
            for name, row in newest.items()
        ]

    def add_passed(
        self, messages: Messages, ticks: TickBatch, ts_scored_ns: int, text: SymbolText
    ) -> None:
        numbers = ticks.symbol_id[messages.rows]
        for at in passed_rows(numbers, ticks.ts_event_ns[messages.rows]).tolist():
            self.passed.append(
                Latest(
                    text.names[int(numbers[at])],
                    int(ticks.offset[messages.rows[at]]),
                    ts_scored_ns,
                    messages.values[at],
                    ticks.partition,
                )
            )

    def add_dead(self, dead: list[DeadLetter], limit: int | None) -> None:
        if dead:
            offsets = np.array([each.offset for each in dead], np.int64)
            keys: list[bytes | None] = [None] * len(dead)
            values = encode_dead_letters(dead, limit)
            self.records.append(Records(topics.DEAD_LETTERS, offsets, keys, values))


def passed_rows(symbol_id: Int32, ts_event_ns: Int64) -> Int64:
    """Return the rows that show what a batch passed: the first of each symbol and some seconds.

    The last row of a symbol is left out: it is the symbol's latest.

    A batch that is read while it happens passes nothing. One that catches up spans minutes, of
    which its latest predictions alone would leave no history.

    Parameters
    ----------
    symbol_id, ts_event_ns
        int32 and int64, shape (n,), in the order of the log.

    Returns
    -------
    int64, rising: rows of the batch.
    """
    if len(ts_event_ns) == 0 or np.ptp(ts_event_ns) < 2 * PASSED_EVERY_NS:
        return np.empty(0, np.int64)
    order = np.argsort(symbol_id, kind="stable")
    symbols, steps = symbol_id[order], ts_event_ns[order] // PASSED_EVERY_NS
    begins = np.ones(len(order), np.bool_)
    other = symbols[1:] != symbols[:-1]
    begins[1:] = other | (steps[1:] != steps[:-1])
    begins[np.append(other, True)] = False
    return np.sort(order[begins])
