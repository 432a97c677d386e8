"""Walk-forward splits: train on earlier rows, test on later ones, with a gap in between.

Time is cut, never rows, and one cut holds for all symbols, so that the same market move is never
on both sides. Shares are of *active* time, so a hole in the recordings (or the four years between
two of them) does not make an empty fold.
"""

from dataclasses import dataclass

import numpy as np

from flows.errors import TrainingError
from flows.numeric.arrays import Int64
from flows.numeric.time import NS_PER_S

HOLE_S = 60
# Rows may be bars of an hour: what is no hole there would be one between ticks.
HOLE_STEPS = 3
WINDOWS_APART_S = 6 * 3600
MIN_TRAIN_S = 900
MIN_TEST_S = 480
MIN_FOLD_S = 1_200


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers of one split.

    Attributes
    ----------
    train, test
        int64 row numbers, rising; every training row's label ends before ``test_from_ns`` less
        the embargo.
    train_to_ns
        Newest training row allowed (inclusive bound).
    test_from_ns, test_to_ns
        The tested interval, half open.
    """

    name: str
    train: Int64
    test: Int64
    train_to_ns: int
    test_from_ns: int
    test_to_ns: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Folds to evaluate recipes on, and a newest part to evaluate the final file on."""

    folds: list[Fold]
    holdout: Fold


def active_time(ts_ns: Int64) -> tuple[Int64, Int64]:
    """Return distinct times and the active nanoseconds gone by at each; holes count as nothing.

    Parameters
    ----------
    ts_ns
        int64, shape (n,), any order, nanoseconds.
    """
    times = np.unique(ts_ns)
    steps = np.diff(times, prepend=times[:1])
    usual = float(np.median(steps[1:])) if len(steps) > 1 else 0.0
    steps[steps > max(HOLE_S * NS_PER_S, HOLE_STEPS * usual)] = 0
    return times, np.cumsum(steps)


def windows(ts_ns: Int64) -> list[tuple[int, int]]:
    """Return the first and last time of each stretch without a silence of hours."""
    times = np.unique(ts_ns)
    seams = np.flatnonzero(np.diff(times) > WINDOWS_APART_S * NS_PER_S)
    starts = times[np.concatenate([[0], seams + 1])]
    ends = times[np.concatenate([seams, [len(times) - 1]])]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def cut_time(times: Int64, active: Int64, at_ns: float) -> int:
    """Return the first time at which ``at_ns`` of active time have gone by."""
    position = int(np.searchsorted(active, at_ns, side="left"))
    return int(times[min(position, len(times) - 1)])


def walk_forward(
    ts_ns: Int64,
    *,
    horizon_s: int,
    embargo_s: int,
    folds: int = 4,
    first_train_share: float = 0.4,
    holdout_share: float = 0.15,
) -> Plan:
    """Cut rows into expanding walk-forward folds and a newest holdout.

    The training part of a fold ends ``horizon_s + embargo_s`` before its test part begins: the
    horizon purges labels that look into the test part, the embargo (the longest lookback of a
    feature) keeps test features from being computed from training ticks.

    Parameters
    ----------
    ts_ns
        int64, shape (n,): effective event time of each row, any order.
    horizon_s, embargo_s
        Seconds.
    folds
        Wanted folds; fewer come back where the data are too short for them.
    first_train_share
        Least share of active time before the first test part.
    holdout_share
        Newest share of active time, kept for the gate.

    Raises
    ------
    TrainingError
        If the data are too short for one fold and a holdout.
    """
    if len(ts_ns) == 0:
        msg = "too few ticks: no row has both features and a label"
        raise TrainingError(msg)
    times, active = active_time(ts_ns)
    total = float(active[-1])
    apart = (horizon_s + embargo_s) * NS_PER_S
    start = max(first_train_share * total, apart + MIN_TRAIN_S * NS_PER_S)
    holdout_start = total - max(holdout_share * total, MIN_TEST_S * NS_PER_S)
    room = holdout_start - start
    if room < MIN_TEST_S * NS_PER_S:
        need = (apart + (MIN_TRAIN_S + MIN_TEST_S) * NS_PER_S) / NS_PER_S
        need = max((need + MIN_TEST_S), need / (1 - holdout_share))
        msg = (
            f"too few ticks: {total / NS_PER_S / 60:.0f} min of labelled, warm ticks, but a"
            f" training part, {horizon_s + embargo_s} s of purge and embargo, a test part and a"
            f" holdout need about {need / 60:.0f} min; record longer"
        )
        raise TrainingError(msg)
    count = max(1, min(folds, int(room // (MIN_FOLD_S * NS_PER_S))))
    bounds = [cut_time(times, active, start + room * k / count) for k in range(count)]
    bounds += [cut_time(times, active, holdout_start), int(times[-1]) + 1]
    made = [
        _fold(ts_ns, f"fold{k + 1}", apart, bounds[k], bounds[k + 1])
        for k in range(len(bounds) - 1)
    ]
    holdout = made.pop()
    kept = [fold for fold in made if len(fold.train) and len(fold.test)]
    if not kept or not len(holdout.train) or not len(holdout.test):
        msg = "too few ticks: purge and embargo leave a fold without rows; record longer"
        raise TrainingError(msg)
    return Plan(kept, Fold("holdout", *_parts(holdout)))


def _parts(fold: Fold) -> tuple[Int64, Int64, int, int, int]:
    return fold.train, fold.test, fold.train_to_ns, fold.test_from_ns, fold.test_to_ns


def _fold(ts_ns: Int64, name: str, apart_ns: int, from_ns: int, to_ns: int) -> Fold:
    limit = from_ns - apart_ns - 1
    train = np.flatnonzero(ts_ns <= limit)
    test = np.flatnonzero((ts_ns >= from_ns) & (ts_ns < to_ns))
    return Fold(name, train, test, limit, from_ns, to_ns)
