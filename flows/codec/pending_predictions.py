"""Predictions as columns, kept until the truth about them is known."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import msgspec
import numpy as np

from flows.codec.symbols import SymbolTable
from flows.numeric.arrays import Bool, Float64, Int32, Int64
from schemas.decoding import UNREADABLE
from schemas.predictions import Prediction
from schemas.ticks import LATEST_NS


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """The models that scored one target: the champion, and challengers by ``name@version``."""

    target: str
    model: str
    version: str
    variant: str
    shadow: tuple[str, ...]

    @property
    def ref(self) -> str:
        """The champion's ``name@version``."""
        return f"{self.model}@{self.version}"


ModelSet = tuple[ScoredBy, ...]

MAX_SCORES = 256
"""Scores in one prediction: its row is as wide as the widest of its batch."""

_FEW_SETS = 1_000
_MOSTLY_TAKEN = 4


class ModelSetTable:
    """Small integers for the sets of models that predictions name; one per partition.

    A flow knows a few; messages of a foreign writer may name others for ever.
    """

    def __init__(self) -> None:
        self.known: list[ModelSet] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._free: list[int] = []
        self._many = _FEW_SETS

    @property
    def crowded(self) -> bool:
        """Whether it is time to :meth:`keep` only what is needed."""
        return len(self._numbers) > self._many

    def intern(self, prediction: Prediction) -> int:
        """Return the number of the set of models that made this prediction."""
        # Once per message: plain strings, since hashing them costs nothing the second time.
        named: list[str] = []
        for target, own in prediction.scores.items():
            named += (target, own.model, own.version, own.variant, *own.shadow, "")
        key = tuple(named)
        number = self._numbers.get(key)
        if number is None:
            models = tuple(
                ScoredBy(target, own.model, own.version, own.variant, tuple(own.shadow))
                for target, own in prediction.scores.items()
            )
            if self._free:
                number = self._free.pop()
                self.known[number] = models
            else:
                number = len(self.known)
                self.known.append(models)
            self._numbers[key] = number
        return number

    def keep(self, numbers: set[int]) -> None:
        """Let all other numbers stand for other sets from now on."""
        self._numbers = {key: at for key, at in self._numbers.items() if at in numbers}
        self._free = sorted(set(range(len(self.known))) - numbers, reverse=True)
        for number in self._free:
            self.known[number] = ()
        self._many = max(_FEW_SETS, 2 * len(self._numbers))


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Predictions of one partition in offset order as columns of shape (n,).

    Attributes
    ----------
    offset
        On ``predictions``.
    ts_effective_ns
        The newest time of the symbol so far, int64, shape (n,): :class:`EffectiveTimes`.
    origin_partition, origin_offset
        Where in ``ticks.raw`` the tick came from.
    model_set
        Number of the set of models in the partition's table.
    scores
        float64, shape (n, scores of the largest set): per target the champion's score and then its
        challengers', NaN beyond the end of a smaller set.
    """

    offset: Int64
    symbol_id: Int32
    ts_event_ns: Int64
    mid: Float64
    warm: Bool
    late: Bool
    gap: Bool
    restart: Bool
    origin_partition: Int32
    origin_offset: Int64
    feature_set: Int32
    model_set: Int32
    scores: Float64
    ts_effective_ns: Int64

    def __len__(self) -> int:
        return len(self.offset)

    def rows(self, chosen: Int64) -> "PredictionBatch":
        """Return some rows as a batch of their own."""
        columns = {each.name: getattr(self, each.name)[chosen] for each in fields(self)}
        return PredictionBatch(**columns)


class EffectiveTimes:
    """The newest time of each symbol of one partition: what a late prediction was scored at."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    def of(self, symbol_id: Int32, ts_event_ns: Int64, late: Bool) -> Int64:
        """Return each prediction's effective time, int64, shape (n,); arguments of that shape.

        A prediction that is not late is the newest of its symbol, also where its symbol began anew.
        """
        newest = self._newest
        if not late.any():
            newest.update(zip(symbol_id.tolist(), ts_event_ns.tolist(), strict=True))
            return ts_event_ns
        found = ts_event_ns.copy()
        columns = zip(symbol_id.tolist(), ts_event_ns.tolist(), late.tolist(), strict=True)
        for row, (symbol, time_ns, is_late) in enumerate(columns):
            if is_late:
                found[row] = newest.setdefault(symbol, time_ns)
            else:
                newest[symbol] = time_ns
        return found

    def forget(self, numbers: Iterable[int]) -> None:
        """Let these numbers stand for other symbols from now on."""
        for number in numbers:
            self._newest.pop(number, None)


def decode_predictions(
    values: Sequence[bytes], offsets: Sequence[int], symbols: SymbolTable, models: ModelSetTable
) -> tuple[PredictionBatch, list[tuple[int, str]]]:
    """Turn messages into columns.

    Returns
    -------
    The columns, and for each message that is no prediction its offset and what is wrong.
    """
    decoder = msgspec.json.Decoder(Prediction)
    found: list[Prediction] = []
    kept: list[int] = []
    broken: list[tuple[int, str]] = []
    for value, offset in zip(values, offsets, strict=True):
        try:
            prediction = decoder.decode(value)
        except UNREADABLE as error:
            broken.append((offset, str(error)))
            continue
        problem = _problem(prediction)
        if problem is not None:
            broken.append((offset, problem))
            continue
        found.append(prediction)
        kept.append(offset)
    numbers = [models.intern(each) for each in found]
    symbol_id = np.array([symbols.intern(each.venue, each.symbol) for each in found], np.int32)
    symbols.see(symbol_id, np.array(kept, np.int64))
    return (
        PredictionBatch(
            offset=np.array(kept, np.int64),
            symbol_id=symbol_id,
            ts_event_ns=np.array([each.ts_event_ns for each in found], np.int64),
            mid=np.array([each.mid for each in found], np.float64),
            warm=np.array([each.warm for each in found], np.bool_),
            late=np.array([each.late for each in found], np.bool_),
            gap=np.array([each.gap for each in found], np.bool_),
            restart=np.array([each.restart for each in found], np.bool_),
            origin_partition=np.array([each.partition for each in found], np.int32),
            origin_offset=np.array([each.offset for each in found], np.int64),
            feature_set=np.array([each.feature_set for each in found], np.int32),
            model_set=np.array(numbers, np.int32),
            scores=_scores(found),
            ts_effective_ns=np.array([each.ts_event_ns for each in found], np.int64),
        ),
        broken,
    )


def _problem(prediction: Prediction) -> str | None:
    """Return why a well-formed message cannot be a prediction of the pipeline, None if it can."""
    if not 0 <= prediction.ts_event_ns <= LATEST_NS:
        return f"ts_event_ns is {prediction.ts_event_ns}, not between 1970 and 2261"
    if not prediction.mid > 0:
        return f"mid is {prediction.mid!r}, not a positive number"
    scores = sum(1 + len(own.shadow) for own in prediction.scores.values())
    if scores > MAX_SCORES:
        return f"it has {scores} scores, more than {MAX_SCORES}"
    return None


def _scores(found: Sequence[Prediction]) -> Float64:
    rows = [
        [value for own in each.scores.values() for value in (own.score, *own.shadow.values())]
        for each in found
    ]
    width = max(map(len, rows), default=0)
    if all(len(row) == width for row in rows):
        return np.array(rows, np.float64).reshape(len(rows), width)
    padded = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


@dataclass(slots=True)
class _Chunk:
    """What is left of a batch.

    Attributes
    ----------
    span
        Predictions it had at first.
    number
        int64, shape (n,): which of those each row is; None for all of them.
    is_open
        bool, shape (n,): which rows are still pending.
    """

    batch: PredictionBatch
    span: int
    left: int
    is_open: Bool
    number: Int64 | None = None

    def take(self, numbers: Int64) -> Int64:
        """Remove predictions by their rising number; return their rows."""
        rows = numbers if self.number is None else np.searchsorted(self.number, numbers)
        self.is_open[rows] = False
        self.left -= len(rows)
        return np.asarray(rows, np.int64)

    def shrink(self) -> None:
        """Let go of rows that were taken, once they are most of them."""
        if self.left == 0 or self.left * _MOSTLY_TAKEN > len(self.batch):
            return
        rows = np.flatnonzero(self.is_open)
        self.number = rows if self.number is None else self.number[rows]
        self.batch, self.is_open = self.batch.rows(rows), np.ones(len(rows), np.bool_)


class PendingPredictions:
    """The predictions of one partition whose truth is not known yet, by running number.

    The number of a prediction is how many came before it in this run. A symbol that falls silent
    keeps its own predictions for a day, and little of the batch that they came in.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}  # by the number of its first prediction
        self._firsts: list[int] = []
        self._next = 0

    def __len__(self) -> int:
        return sum(chunk.left for chunk in self._chunks.values())

    @property
    def kept_rows(self) -> int:
        """Rows in memory, pending or not."""
        return sum(len(chunk.batch) for chunk in self._chunks.values())

    def model_sets(self) -> set[int]:
        """Return the numbers of all sets of models whose predictions are kept."""
        found = [chunk.batch.model_set for chunk in self._chunks.values()]
        return set(np.unique(np.concatenate(found)).tolist()) if found else set()

    def add(self, batch: PredictionBatch) -> int:
        """Keep a batch; return the number of its first prediction."""
        first = self._next
        if len(batch):
            is_open = np.ones(len(batch), np.bool_)
            self._chunks[first] = _Chunk(batch, len(batch), len(batch), is_open)
            self._firsts.append(first)
            self._next += len(batch)
        return first

    def take(self, numbers: Int64) -> list[tuple[PredictionBatch, Int64, Int64]]:
        """Remove predictions and return them.

        Parameters
        ----------
        numbers
            int64, shape (m,): of pending predictions, each once, in any order.

        Returns
        -------
        Per batch they came in: the batch, their rows in it, and their places in ``numbers``.
        """
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        taken = []
        at = 0
        while at < len(ordered):
            place = bisect_right(self._firsts, int(ordered[at])) - 1
            first = self._firsts[place]
            chunk = self._chunks[first]
            end = int(np.searchsorted(ordered, first + chunk.span))
            rows = chunk.take(ordered[at:end] - first)
            taken.append((chunk.batch, rows, order[at:end]))
            chunk.shrink()
            if chunk.left == 0:
                del self._chunks[first], self._firsts[place]
            at = end
        return taken
