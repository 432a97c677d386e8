"""Seconds of one symbol: what its ticks, predictions and outcomes come to in each.

Messages may be added in any order, older after newer: within a second, offsets decide which one is
first and which one last. A message that is added twice changes nothing but sums, so whoever adds
them hands over each one once.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from flows.numeric.time import NS_PER_S
from schemas.predictions import OutcomeScore, TargetScore

SPAN_S = 7_200
"""Seconds that are kept, before the newest."""

AHEAD_S = 60
"""An event further ahead of the newest prediction, or behind it, belongs to another time."""

MOST_EARLY = 20_000
"""Ticks and outcomes that wait for the predictions of their time."""


class TickPart(msgspec.Struct, gc=False):
    """The fields of a tick that a chart shows."""

    ts_event_ns: int
    price: float
    size: float | None = None
    bid: float | None = None
    ask: float | None = None
    gap: bool = False


class PredictionPart(msgspec.Struct, gc=False):
    """The fields of a prediction that a chart shows."""

    ts_event_ns: int
    mid: float
    price: float
    warm: bool
    offset: int
    scores: dict[str, TargetScore]


class OutcomePart(msgspec.Struct, gc=False):
    """The fields of an outcome that a chart shows."""

    ts_event_ns: int
    offset: int
    scores: dict[str, OutcomeScore]


@dataclass(slots=True)
class Truth:
    """What became of a second's predictions for one target.

    Attributes
    ----------
    happened
        The largest truth among them: 1 where the event followed any of them.
    last
        The newest of them beside its truth.
    """

    happened: float
    last: OutcomeScore
    offset: int


@dataclass(slots=True)
class Bucket:
    """One second.

    Attributes
    ----------
    revision
        Rises with every change anywhere in the series, so that a reader finds what is new.
    peaks
        By target, the largest score.
    alerts
        By target, whether any score reached its threshold; absent without a threshold.
    """

    second: int
    revision: int = 0
    first: int = -1
    last: int = -1
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    trades: int = 0
    gap: bool = False
    scored: int = -1
    mid: float | None = None
    price: float | None = None
    warm: bool = False
    scores: dict[str, TargetScore] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, bool] = field(default_factory=dict)
    truths: dict[str, Truth] = field(default_factory=dict)


class Buckets:
    """The seconds of one symbol, at most ``SPAN_S`` before the newest.

    Predictions alone say what time it is, since only a usable tick leads to one: a tick with a
    wrong clock must not push everything else out. Ticks and outcomes that are ahead of the newest
    prediction wait for it. Where the log goes on at an earlier time, the series begins anew.
    """

    def __init__(self) -> None:
        self._by_second: dict[int, Bucket] = {}
        self._newest_offset = -1
        # By second; the number keeps those of one second in their order.
        self._early: list[tuple[int, int, int, TickPart | OutcomePart]] = []
        self._early_count = 0
        self.revision = 0
        self.newest_s = 0

    def __len__(self) -> int:
        return len(self._by_second)

    def add_tick(self, offset: int, tick: TickPart) -> None:
        """Add a tick from ``ticks.raw``."""
        second = tick.ts_event_ns // NS_PER_S
        if self._is_early(second, offset, tick):
            return
        bucket = self._bucket(second)
        price = tick.price
        if bucket is None or not (math.isfinite(price) and price > 0):
            return
        if bucket.first < 0 or offset < bucket.first:
            bucket.first, bucket.open = offset, price
        if offset > bucket.last:
            bucket.last, bucket.close = offset, price
            bucket.bid = bucket.bid if tick.bid is None else tick.bid
            bucket.ask = bucket.ask if tick.ask is None else tick.ask
        bucket.high = price if bucket.high is None else max(bucket.high, price)
        bucket.low = price if bucket.low is None else min(bucket.low, price)
        if tick.size is not None:
            bucket.volume = (bucket.volume or 0.0) + tick.size
        bucket.trades += 1
        bucket.gap = bucket.gap or tick.gap

    def add_prediction(self, prediction: PredictionPart) -> None:
        """Add a prediction; its offset is that of its tick."""
        second = prediction.ts_event_ns // NS_PER_S
        if prediction.offset > self._newest_offset:
            self._newest_offset = prediction.offset
            self._move_to(second)
            self._add_early()
        bucket = self._bucket(second)
        if bucket is None:
            return
        if prediction.offset > bucket.scored:
            bucket.scored = prediction.offset
            bucket.mid, bucket.price = prediction.mid, prediction.price
            bucket.warm, bucket.scores = prediction.warm, prediction.scores
        for target, own in prediction.scores.items():
            bucket.peaks[target] = max(own.score, bucket.peaks.get(target, own.score))
            if own.decision is not None:
                bucket.alerts[target] = own.decision or bucket.alerts.get(target, False)

    def add_outcome(self, outcome: OutcomePart) -> None:
        """Add an outcome, to the second of its prediction."""
        second = outcome.ts_event_ns // NS_PER_S
        if self._is_early(second, outcome.offset, outcome):
            return
        bucket = self._bucket(second)
        if bucket is None:
            return
        for target, judged in outcome.scores.items():
            known = bucket.truths.get(target)
            if known is None:
                bucket.truths[target] = Truth(judged.truth, judged, outcome.offset)
                continue
            known.happened = max(known.happened, judged.truth)
            if outcome.offset > known.offset:
                known.last, known.offset = judged, outcome.offset

    def since(self, from_s: int) -> Iterator[Bucket]:
        """Yield the seconds from this one on, oldest first."""
        for second in sorted(second for second in self._by_second if second >= from_s):
            yield self._by_second[second]

    def _is_early(self, second: int, offset: int, part: "TickPart | OutcomePart") -> bool:
        """Let what is ahead of the newest prediction wait; where too much does, it is dropped."""
        if second <= self.newest_s + AHEAD_S:
            return False
        if len(self._early) < MOST_EARLY:
            self._early_count += 1
            heapq.heappush(self._early, (second, self._early_count, offset, part))
        return True

    def _add_early(self) -> None:
        while self._early and self._early[0][0] <= self.newest_s + AHEAD_S:
            _second, _number, offset, part = heapq.heappop(self._early)
            if isinstance(part, TickPart):
                self.add_tick(offset, part)
            else:
                self.add_outcome(part)

    def _move_to(self, second: int) -> None:
        """Let time go on; back only where the log does so by more than a tick can be late."""
        if second < self.newest_s - AHEAD_S:
            self._by_second.clear()
            self.newest_s = second
        elif second > self.newest_s:
            self.newest_s = second
            if len(self._by_second) > SPAN_S + AHEAD_S:
                oldest_s = second - SPAN_S
                kept = {at: each for at, each in self._by_second.items() if at > oldest_s}
                self._by_second = kept

    def _bucket(self, second: int) -> Bucket | None:
        """Return a second to add to, None for one outside of what is kept."""
        if not self.newest_s - SPAN_S < second <= self.newest_s + AHEAD_S:
            return None
        bucket = self._by_second.get(second)
        if bucket is None:
            bucket = self._by_second[second] = Bucket(second)
        self.revision += 1
        bucket.revision = self.revision
        return bucket
