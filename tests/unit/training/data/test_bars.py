"""Features of bars look back only, and never across a hole."""

import numpy as np
import pytest

from training.data.bars import LAGS, WINDOWS, Bars, bar_features, follows, next_returns

START_NS = 1_700_000_000 * 10**9
MINUTE_NS = 60 * 10**9


def bars(count: int = 300, seed: int = 0) -> Bars:
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 1e-3, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    return Bars(
        name="x",
        ts_ns=START_NS + MINUTE_NS * np.arange(count),
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) * 0.999,
        close=close,
        volume=generator.lognormal(0, 1, count),
        interval_s=60,
    )


def pick(whole: Bars, rows) -> Bars:
    columns = {
        name: getattr(whole, name)[rows]
        for name in ("ts_ns", "open", "high", "low", "close", "volume")
    }
    return Bars(name=whole.name, interval_s=whole.interval_s, **columns)


def test_later_bars_change_no_earlier_feature():
    whole = bars()
    before, names = bar_features(pick(whole, slice(0, 200)))
    after, _ = bar_features(whole)
    np.testing.assert_array_equal(before, after[:200])
    assert len(names) == before.shape[1]


def test_what_lies_before_a_hole_changes_nothing_after_it():
    """An oracle: the bars after the hole, with nothing before them."""
    whole = bars()
    rows = np.r_[0:100, 120:300]
    found, names = bar_features(pick(whole, rows))
    alone, _ = bar_features(pick(whole, np.arange(120, 300)))
    np.testing.assert_allclose(found[100:], alone, rtol=1e-9, atol=1e-15)
    column = {name: found[:, at] for at, name in enumerate(names)}
    for lag in LAGS:
        assert np.isnan(column[f"return_lag_{lag}"][100 : 101 + lag]).all()
        assert np.isfinite(column[f"return_lag_{lag}"][101 + lag])
    for window in WINDOWS:
        for name, first in (("return", 100 + window), ("volume_ratio", 99 + window)):
            assert np.isnan(column[f"{name}_{window}"][100:first]).all()
            assert np.isfinite(column[f"{name}_{window}"][first])


def test_the_return_across_a_hole_is_unknown():
    found = next_returns(pick(bars(), np.r_[0:100, 101:300]))
    assert np.flatnonzero(np.isnan(found)).tolist() == [99, 298]


@pytest.mark.parametrize(
    ("hours", "whole"), [(24, True), (23, True), (25, True), (48, False), (11, False)]
)
def test_days_of_23_and_25_hours_follow_each_other(hours: int, whole: bool):
    daily = bars(3)
    times = START_NS + 3_600 * 10**9 * np.array([0, 24, 24 + hours])
    daily = Bars("x", times, daily.open, daily.high, daily.low, daily.close, daily.volume, 86_400)
    assert follows(daily).tolist() == [False, True, whole]
