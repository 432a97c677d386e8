"""Live quality: how well each model did over the last hour of event time, at a constant cost.

Nothing is kept per prediction. Each minute's scores are folded into a vector of sums, per partition
and model; the window's vector is the sum of its minutes, and all figures come from it by
:mod:`flows.monitoring.figures`. What counts is what training counts: the first warm prediction of
each symbol and second, by its effective time.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from flows.monitoring.figures import (
    classifier_sums,
    forecast_sums,
)
from flows.monitoring.quality_windows import combine, model_window
from flows.numeric.arrays import Float64, Int32, Int64
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from schemas.models import TargetKind
from schemas.quality import QualityPoint, QualityWindow

Role = Literal["champion", "challenger"]

WINDOW_S: Final = 3600
MINUTE_S: Final = 60
# Of event time, between two points of the history.
INTERVAL_S: Final = 5


class FirstOfSecond:
    """Pick the first prediction of each symbol and second, over all batches of one partition."""

    def __init__(self) -> None:
        self._last = np.empty(0, np.int64)

    def pick(self, symbol_id: Int32, ts_ns: Int64) -> Int64:
        """Return the places to count, int64, rising.

        Parameters
        ----------
        symbol_id, ts_ns
            int32 and int64, shape (n,): effective times, so each symbol's rise between restarts.
        """
        if len(ts_ns) == 0:
            return np.empty(0, np.int64)
        symbols = symbol_id.astype(np.int64)
        missing = int(symbols.max()) + 1 - len(self._last)
        if missing > 0:
            self._last = np.concatenate([self._last, np.full(missing, -1)])
        seconds = ts_ns // NS_PER_S
        pairs = np.stack([symbols, seconds], axis=1)
        _found, first = np.unique(pairs, axis=0, return_index=True)
        first.sort()
        fresh: Int64 = first[seconds[first] != self._last[symbols[first]]]
        self._last[symbols] = seconds  # the last assignment to a symbol stays
        return fresh

    def forget(self, numbers: Iterable[int]) -> None:
        """Let these numbers stand for other symbols from now on."""
        known = [number for number in numbers if number < len(self._last)]
        self._last[known] = -1


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Predictions of one model for one target whose truth is known now.

    Attributes
    ----------
    partition
        The partition of ``predictions`` that they came from.
    ts_event_ns
        int64, shape (n,): event time of the prediction.
    scores
        float64, shape (n,): the model's probability or forecast.
    truths
        float64, shape (n,): 0 or 1 for an event, else the realized value.
    """

    target: str
    kind: TargetKind
    model: str
    role: Role
    variant: str | None
    ts_event_ns: Int64
    scores: Float64
    truths: Float64
    partition: int = 0


@dataclass(slots=True)
class _Model:
    """One model's minutes, oldest first: (number of the minute, sums)."""

    variant: str | None = None
    minutes: deque[tuple[int, Float64]] = field(default_factory=deque)

    def add(self, minute: int, sums: Float64) -> None:
        for at in range(len(self.minutes) - 1, -1, -1):
            if self.minutes[at][0] == minute:
                np.add(self.minutes[at][1], sums, out=self.minutes[at][1])
                return
            if self.minutes[at][0] < minute:
                self.minutes.insert(at + 1, (minute, sums))
                return
        self.minutes.appendleft((minute, sums))

    def forget_before(self, minute: int) -> None:
        while self.minutes and self.minutes[0][0] < minute:
            self.minutes.popleft()


@dataclass(slots=True)
class _Window:
    """What one partition knows of one target: its own newest time, and each model's minutes."""

    newest_ns: int
    due_ns: int
    fresh: bool = True  # observed since the last point
    models: dict[str, _Model] = field(default_factory=dict)


@dataclass(slots=True)
class _Target:
    kind: TargetKind
    champion: str | None = None
    windows: dict[int, _Window] = field(default_factory=dict)


class QualityMonitor:
    """Rolling figures of every model of every target, all over the same predictions.

    Each partition has a window of its own, since partitions need not be equally far; a point adds
    the windows up. A partition without new truths counts until it is a window behind the newest.

    Not safe for use by several threads at once.

    Parameters
    ----------
    window_s
        Length of the window in event time, seconds; cut at whole minutes.
    interval_s
        Event time between two points, seconds.
    """

    def __init__(self, window_s: int = WINDOW_S, interval_s: int = INTERVAL_S) -> None:
        self._minutes = max(1, window_s // MINUTE_S)
        self._interval_ns = interval_s * NS_PER_S
        self._targets: dict[str, _Target] = {}

    def observe(self, evaluated: Evaluated) -> None:
        """Add predictions of one partition.

        Times more than a window older than the partition's newest start its window anew, so that
        an old recording can follow a new one.
        """
        if len(evaluated.scores) == 0:
            return
        target = self._targets.setdefault(evaluated.target, _Target(evaluated.kind))
        if target.kind != evaluated.kind:
            target = self._targets[evaluated.target] = _Target(evaluated.kind)
        if evaluated.role == "champion":
            target.champion = evaluated.model
        window = self._window(target, evaluated)
        fold = classifier_sums if evaluated.kind == "classification" else forecast_sums
        minutes = evaluated.ts_event_ns // NS_PER_MINUTE
        first = window.newest_ns // NS_PER_MINUTE - self._minutes + 1
        for minute in np.unique(minutes[minutes >= first]).tolist():
            model = window.models.setdefault(evaluated.model, _Model())
            model.variant = evaluated.variant or model.variant
            chosen = minutes == minute
            model.add(minute, fold(evaluated.scores[chosen], evaluated.truths[chosen]))

    def forget(self, partition: int) -> None:
        """Drop the windows of a partition that another process watches from now on."""
        for target in self._targets.values():
            target.windows.pop(partition, None)

    def points(self) -> list[QualityPoint]:
        """Return a point for each target of which a partition has moved on by the interval."""
        found = []
        for name, target in self._targets.items():
            windows = target.windows.values()
            if any(window.newest_ns >= window.due_ns for window in windows):
                self._forget_idle(target)
                for window in target.windows.values():
                    window.due_ns = window.newest_ns + self._interval_ns
                    window.fresh = False
                found.append(combine(self.windows(name)))
        return found

    def windows(self, name: str) -> list[QualityWindow]:
        """Return what each partition adds to a target's point."""
        target = self._targets[name]
        return [
            QualityWindow(
                target=name,
                kind=target.kind,
                partition=partition,
                ts_ns=window.newest_ns,
                champion=target.champion,
                models={
                    ref: model_window(
                        model.variant,
                        model.minutes[0][0] * NS_PER_MINUTE,
                        [sums for _minute, sums in model.minutes],
                    )
                    for ref, model in window.models.items()
                },
            )
            for partition, window in sorted(target.windows.items())
            if window.models
        ]

    def _window(self, target: _Target, evaluated: Evaluated) -> _Window:
        newest_ns = int(evaluated.ts_event_ns.max())
        window = target.windows.get(evaluated.partition)
        if window is None or newest_ns < window.newest_ns - self._minutes * NS_PER_MINUTE:
            window = target.windows[evaluated.partition] = _Window(newest_ns, newest_ns)
        if newest_ns > window.newest_ns:
            window.newest_ns = newest_ns
            first = newest_ns // NS_PER_MINUTE - self._minutes + 1
            for name, model in list(window.models.items()):
                model.forget_before(first)
                if not model.minutes:
                    del window.models[name]
        window.fresh = True
        return window

    def _forget_idle(self, target: _Target) -> None:
        newest_ns = max(window.newest_ns for window in target.windows.values())
        oldest_ns = newest_ns - self._minutes * NS_PER_MINUTE
        for partition, window in list(target.windows.items()):
            if window.newest_ns < oldest_ns and not window.fresh:
                del target.windows[partition]
