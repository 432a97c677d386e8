"""Count what a run produced, from its outputs alone.

Pure: :mod:`flows.local.output_count` reads the topics.
"""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, TypedDict

import msgspec
import numpy as np

from flows.errors import VoltickError

TARGET = "volatility_spike"


class SymbolSummary(TypedDict):
    """One symbol of the summary; scores are the champion's for ``volatility_spike``."""

    predictions: int
    warm: int
    score_min: float | None
    score_median: float | None
    score_max: float | None
    distinct_scores: int


class RunSummary(TypedDict):
    """The last line, JSON, of a run until the end."""

    frames: int
    tick_frames: int
    control: int
    dead_frames: int
    ticks: int
    dead_letters: int
    dead_letters_by_reason: dict[str, int]
    late: int
    duplicates: int
    gaps: int
    restarts: int
    predictions: int
    seconds: float
    symbols: dict[str, SymbolSummary]


@dataclass
class FeedCount:
    """What the feed sent, counted where it was sent.

    Attributes
    ----------
    dead_letters, reasons
        From frames; they never were on ``ticks.raw``. In total and by reason.
    start, end
        First offset and the one after the last of this run in each partition of ``ticks.raw``.
    """

    frames: int = 0
    tick_frames: int = 0
    control: int = 0
    dead_frames: int = 0
    ticks: int = 0
    dead_letters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    start: dict[int, int] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=dict)

    def holds(self, partition: int, offset: int) -> bool:
        """Return whether a tick at this place of ``ticks.raw`` was sent by this run."""
        return self.start.get(partition, 0) <= offset < self.end.get(partition, 0)


Place = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class _Score(msgspec.Struct, gc=False):
    score: float | None = None


class _Scores(msgspec.Struct, gc=False):
    volatility_spike: _Score | None = None


class PredictionLine(msgspec.Struct, gc=False, kw_only=True):
    """The part of a prediction that is counted; decodes ``schemas.predictions.Prediction``."""

    symbol: str
    warm: bool
    late: bool
    gap: bool
    restart: bool = False
    partition: Place
    offset: Place
    scores: _Scores


class DeadLetterLine(msgspec.Struct, gc=False):
    """The part of a dead letter that is counted; decodes ``schemas.dead_letters.DeadLetter``."""

    reason: str
    topic: str | None = None
    partition: Place | None = None
    offset: Place | None = None


@dataclass
class _Symbol:
    predictions: int = 0
    warm: int = 0
    unscored: int = 0
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    warm_distinct: set[float] = field(default_factory=set)


@dataclass
class Tally:
    """Add up predictions and dead letters of the ticks that a run sent."""

    sent: FeedCount
    late: int = 0
    gaps: int = 0
    restarts: int = 0
    dead_ticks: Counter[str] = field(default_factory=Counter)
    _symbols: dict[str, _Symbol] = field(default_factory=dict)
    _offsets: dict[int, "array[int]"] = field(default_factory=dict)

    def add_prediction(self, line: PredictionLine) -> None:
        """Count one prediction; one of another run's tick is not counted."""
        if not self.sent.holds(line.partition, line.offset):
            return
        symbol = self._symbols.get(line.symbol)
        if symbol is None:
            symbol = self._symbols[line.symbol] = _Symbol()
        offsets = self._offsets.get(line.partition)
        if offsets is None:
            offsets = self._offsets[line.partition] = array("q")
        offsets.append(line.offset)
        symbol.predictions += 1
        symbol.warm += line.warm
        self.late += line.late
        self.gaps += line.gap
        # A symbol's first tick begins its memory too, but nothing jumped.
        self.restarts += line.restart and symbol.predictions > 1
        spike = line.scores.volatility_spike
        if spike is None or spike.score is None:
            symbol.unscored += 1
            return
        symbol.scores.append(spike.score)
        if line.warm and len(symbol.warm_distinct) < 2:
            symbol.warm_distinct.add(spike.score)

    def add_dead_letter(self, line: DeadLetterLine, topic: str) -> None:
        """Count a dead letter that came from ``topic``; frames' own are counted by the feed."""
        if line.topic == topic and line.partition is not None and line.offset is not None:
            self.dead_ticks[line.reason] += self.sent.holds(line.partition, line.offset)

    def summary(self, seconds: float) -> RunSummary:
        """Return the summary.

        Raises
        ------
        VoltickError
            A tick was predicted twice, or there are more outputs than ticks.
        """
        predictions = sum(symbol.predictions for symbol in self._symbols.values())
        distinct = sum(len(np.unique(np.asarray(o))) for o in self._offsets.values())
        dead_ticks = self.dead_ticks.total()
        duplicates = self.sent.ticks - dead_ticks - predictions
        if distinct != predictions or duplicates < 0:
            message = (
                f"{predictions} predictions of {distinct} ticks and {dead_ticks} dead letters"
                f" came out of {self.sent.ticks} ticks: something was written twice"
            )
            raise VoltickError(message)
        reasons = +(self.sent.reasons + self.dead_ticks)
        return RunSummary(
            frames=self.sent.frames,
            tick_frames=self.sent.tick_frames,
            control=self.sent.control,
            dead_frames=self.sent.dead_frames,
            ticks=self.sent.ticks,
            dead_letters=self.sent.dead_letters + dead_ticks,
            dead_letters_by_reason=dict(sorted(reasons.items())),
            late=self.late,
            duplicates=duplicates,
            gaps=self.gaps,
            restarts=self.restarts,
            predictions=predictions,
            seconds=round(seconds, 3),
            symbols={name: _summary(symbol) for name, symbol in sorted(self._symbols.items())},
        )

    def complaints(self) -> list[str]:
        """Return what is wrong with the input and the scores, a sentence each."""
        found = []
        if self.sent.frames and not self.sent.ticks:
            found.append(
                f"none of {self.sent.frames} frames became a tick: {self.sent.control} hold no"
                f" trade, {self.sent.dead_frames} are broken; were the channels of trades recorded?"
            )
        for name, symbol in sorted(self._symbols.items()):
            if symbol.unscored:
                found.append(f"{symbol.unscored} predictions of {name} have no {TARGET} score")
            if symbol.warm > 1 and len(symbol.warm_distinct) == 1:
                found.append(f"all {symbol.warm} warm scores of {name} are the same")
        return found


def _summary(symbol: _Symbol) -> SymbolSummary:
    scores = np.asarray(symbol.scores, dtype=np.float64)
    some = len(scores) > 0
    return SymbolSummary(
        predictions=symbol.predictions,
        warm=symbol.warm,
        score_min=float(scores.min()) if some else None,
        score_median=float(np.median(scores)) if some else None,
        score_max=float(scores.max()) if some else None,
        distinct_scores=len(np.unique(scores)),
    )
