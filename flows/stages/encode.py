"""The pipeline's last step: scores to what the sink writes."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from flows.codec.batch import TickBatch, partition_key
from flows.codec.encode import (
    SymbolText,
    encode_dead_letters,
    feature_rows,
    predictions,
    scorable,
    unscorable_dead_letters,
)
from flows.codec.outputs import Latest, OutputBatch, Outputs, Records
from flows.codec.row_writer import RowWriter, Write
from flows.codec.rows import FeatureRows, TargetScores
from flows.monitoring.metrics import PipelineMetrics
from flows.numeric.arrays import Int32, Int64
from flows.numeric.time import NS_PER_S
from flows.stages.score import Scored
from schemas import topics
from schemas.dead_letters import DeadLetter

PASSED_EVERY_NS = 5 * NS_PER_S
"""Of event time, between two points of the history that a batch passed."""


class EncodeStep:
    """Scores to the messages that the sink writes.

    The text of predictions is left to the thread that writes them, which has time while this one
    goes on with the next batch. Feature rows, a longer text, are made here: so both threads have
    about as much to do.

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
        self._writers: dict[tuple[int, int], _Writer] = {}

    def __call__(self, scored: Scored) -> tuple[str, OutputBatch]:
        """Encode one batch; the key names its partition."""
        decoded = scored.featured.decoded
        raw = decoded.raw
        made, pending = Outputs(), None
        if raw.emit and raw.values:
            made, pending = self._encode(scored)
        if raw.last:
            self._writers.pop((raw.partition, raw.epoch), None)
        batch = OutputBatch(
            partition=raw.partition,
            next_offset=raw.next_offset,
            rebuild_from=decoded.symbols.gap_marks.rebuild_from(
                scored.featured.features.rebuild_from, raw.next_offset
            ),
            caught_up=raw.caught_up,
            emit=raw.emit,
            records=made.records,
            pending=pending,
            oldest_ms=raw.timestamps_ms[0] if raw.timestamps_ms else None,
            newest_ms=raw.timestamps_ms[-1] if raw.timestamps_ms else None,
            first_event_ns=int(decoded.ticks.ts_event_ns[0]) if len(decoded.ticks) else None,
            first_received_ns=decoded.ticks.ticks[0].ts_recv_ns if decoded.ticks.ticks else None,
            scored_ns=scored.ts_scored_ns if len(scored.rows) else None,
            epoch=raw.epoch,
        )
        return partition_key(raw.partition), batch

    def _encode(self, scored: Scored) -> tuple[Outputs, Callable[[], Outputs]]:
        """Return what is written beside the predictions, and what makes these."""
        decoded, features = scored.featured.decoded, scored.featured.features
        ticks, raw = decoded.ticks, decoded.raw
        key = raw.partition, raw.epoch
        writer = self._writers.get(key)
        if writer is None or writer.text.symbols is not decoded.symbols:
            writer = self._writers[key] = _Writer(SymbolText(decoded.symbols), self._write)
        text = writer.text
        text.refresh()
        rows, scores, unscorable = scorable(features, scored.rows, scored.scores)
        self._metrics.predictions.inc(len(rows))
        made = Outputs()
        if self._publish_features:
            values = feature_rows(
                ticks, features, scored.rows, text, writer.features, packed=self._packed_features
            )
            _add(made, topics.TICKS_FEATURES, scored.rows, values, ticks, text)
        dead = decoded.dead
        if unscorable:
            dead = dead + unscorable_dead_letters(
                ticks, unscorable, raw.offsets, raw.values, self._topic
            )
            dead.sort(key=lambda each: each.offset or 0)
        if dead:
            made.records.append(_dead_letters(dead, self._dead_letter_bytes))
            counts = Counter(each.reason.value for each in dead)
            for reason, count in counts.items():
                self._metrics.dead_letters.labels(reason).inc(count)
            self._note_dead(counts)

        # Without the matrix, which is large and would wait in the sink's queue with its batch; a
        # slice of it would hold all of it.
        rest = replace(features, values64=features.values64[:0].copy())
        at_ns = scored.ts_scored_ns
        return made, lambda: _predicted(ticks, rest, rows, scores, at_ns, writer)


class _Writer:
    """What an ownership's messages are made with.

    Attributes
    ----------
    text
        Grows in the flow's thread alone; what it has does not change.
    features, predictions
        Each used by one thread: the flow's, and the one that writes the partition.
    lock
        Held while predictions are made: an ownership may go on with the state of an earlier one
        whose writing thread has not ended yet.
    """

    def __init__(self, text: SymbolText, write: Callable[[], Write | None]) -> None:
        self.text = text
        self.features = RowWriter(write)
        self.predictions = RowWriter(write)
        self.lock = threading.Lock()


def _predicted(
    ticks: TickBatch,
    features: FeatureRows,
    rows: Int64,
    scores: list[TargetScores],
    at_ns: int,
    writer: _Writer,
) -> Outputs:
    """Return the predictions of scorable rows: all of them, the latest and those passed."""
    text = writer.text
    with writer.lock:
        values = predictions(ticks, features, rows, scores, at_ns, text, writer.predictions)
    shown = _Shown(ticks, rows, ticks.symbol_id[rows], values, at_ns, text)
    made = Outputs(latest=shown.latest(), passed=shown.passed())
    _add(made, topics.PREDICTIONS, rows, values, ticks, text)
    return made


def _add(
    made: Outputs,
    topic: str,
    rows: Int64,
    values: list[bytes],
    ticks: TickBatch,
    text: SymbolText,
) -> None:
    if values:
        numbers = ticks.symbol_id[rows].tolist()
        keys: list[bytes | None] = [text.keys[number] for number in numbers]
        made.records.append(Records(topic, ticks.offset[rows], keys, values))


def _dead_letters(dead: list[DeadLetter], limit: int | None) -> Records:
    offsets = np.array([each.offset for each in dead], np.int64)
    keys: list[bytes | None] = [None] * len(dead)
    return Records(topics.DEAD_LETTERS, offsets, keys, encode_dead_letters(dead, limit))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A batch's predictions, of which Redis shows some.

    Attributes
    ----------
    rows, numbers
        Theirs in the tick batch, and their symbols'; int64 and int32, shape (n,).
    """

    ticks: TickBatch
    rows: Int64
    numbers: Int32
    values: list[bytes]
    ts_scored_ns: int
    text: SymbolText

    def latest(self) -> list[Latest]:
        numbers = self.numbers
        last = np.full(len(self.text.names), -1)
        last[numbers] = np.arange(len(numbers))  # later rows replace earlier ones
        # A symbol of two venues has one entry: the later row counts there too.
        newest = {self.text.names[numbers[at]]: at for at in np.sort(last[last >= 0]).tolist()}
        return [
            Latest(
                name,
                int(self.ticks.offset[self.rows[at]]),
                self.ts_scored_ns,
                self.values[at],
                self.ticks.partition,
                int(self.ticks.ts_event_ns[self.rows[at]]),
            )
            for name, at in newest.items()
        ]

    def passed(self) -> list[Latest]:
        numbers = self.numbers
        return [
            Latest(
                self.text.names[int(numbers[at])],
                int(self.ticks.offset[self.rows[at]]),
                self.ts_scored_ns,
                self.values[at],
                self.ticks.partition,
            )
            for at in passed_rows(numbers, self.ticks.ts_event_ns[self.rows]).tolist()
        ]


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
