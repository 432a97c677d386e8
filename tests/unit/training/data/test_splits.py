"""Walk-forward splits never let the future or its neighbourhood into training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.errors import TrainingError
from flows.numeric.time import NS_PER_S
from training.data.splits import active_time, walk_forward, windows

HOUR = 3_600


def seconds(*parts: range) -> np.ndarray:
    return (
        np.concatenate([np.arange(part.start, part.stop, part.step) for part in parts]) * NS_PER_S
    )


@given(
    hours=st.integers(6, 60),
    folds=st.integers(1, 6),
    horizon=st.integers(1, 300),
    embargo=st.integers(0, HOUR),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_training_ends_a_horizon_and_an_embargo_before_the_test(
    hours, folds, horizon, embargo, seed
):
    ts = np.arange(0, hours * HOUR, 7, dtype=np.int64) * NS_PER_S
    np.random.default_rng(seed).shuffle(ts)
    plan = walk_forward(ts, horizon_s=horizon, embargo_s=embargo, folds=folds)
    assert 1 <= len(plan.folds) <= folds
    previous = None
    for fold in [*plan.folds, plan.holdout]:
        assert ts[fold.train].max() + (horizon + embargo) * NS_PER_S < ts[fold.test].min()
        if previous is not None:
            assert fold.test_from_ns == previous.test_to_ns
            assert set(previous.train) <= set(fold.train)
        previous = fold
    assert ts[plan.holdout.test].max() == ts.max()


@pytest.mark.parametrize("bar_s", [60, 300, HOUR, 24 * HOUR])
def test_the_space_between_bars_is_no_hole(bar_s):
    ts = np.arange(1_000, dtype=np.int64) * bar_s * NS_PER_S
    _, active = active_time(ts)
    assert active[-1] == 999 * bar_s * NS_PER_S


def test_windows_end_where_hours_of_silence_begin():
    ts = seconds(range(HOUR), range(2 * HOUR, 3 * HOUR), range(10**9, 10**9 + HOUR))
    first, second = windows(ts)
    assert first == (0, (3 * HOUR - 1) * NS_PER_S)
    assert second == (10**9 * NS_PER_S, (10**9 + HOUR - 1) * NS_PER_S)
    assert windows(ts[:1]) == [(0, 0)]


def test_a_hole_between_recordings_is_not_active_time():
    ts = seconds(range(HOUR), range(10**9, 10**9 + HOUR))
    _, active = active_time(ts)
    assert active[-1] == 2 * (HOUR - 1) * NS_PER_S


def test_two_recordings_years_apart_are_cut_by_ticks_not_by_years():
    ts = seconds(range(24 * HOUR), range(10**8, 10**8 + 24 * HOUR))
    plan = walk_forward(ts, horizon_s=60, embargo_s=HOUR, folds=4)
    assert len(plan.folds) == 4
    sizes = [len(fold.test) for fold in plan.folds]
    assert max(sizes) < 1.2 * min(sizes)


def test_two_hours_suffice_for_a_fold_and_a_holdout():
    plan = walk_forward(seconds(range(2 * HOUR)), horizon_s=60, embargo_s=HOUR)
    assert len(plan.folds) >= 1
    assert len(plan.folds[0].train) >= 900


def test_too_little_is_refused_with_what_is_needed():
    with pytest.raises(TrainingError, match=r"too few ticks: 60 min .* need about"):
        walk_forward(seconds(range(HOUR)), horizon_s=60, embargo_s=HOUR)
    with pytest.raises(TrainingError, match="too few ticks"):
        walk_forward(np.empty(0, np.int64), horizon_s=60, embargo_s=HOUR)
