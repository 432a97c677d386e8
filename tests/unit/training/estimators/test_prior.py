"""The anchor: a table of the hour as a model input, and where its numbers come from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import TrainingError
from flows.numeric.time import NS_PER_S
from tests.support.captures import FRAMES
from training.data.bar_files import read_bars
from training.data.bars import Bars
from training.estimators.preprocessing import Preprocessor, table
from training.estimators.prior import HOUR_TABLE, MINUTES, PRIOR_WEIGHTS
from training.research.fit_prior import Stamp, hour_table

BARS = FRAMES.parent / "candles" / "btc-perp_1m_20211231_20220201.csv.gz"
START_S = 1_700_006_400  # an absolute hour


def value_at(position: float) -> float:
    """Interpolate the table around the hour, the plain way."""
    return float(
        np.interp(position * MINUTES, np.arange(MINUTES + 1), [*HOUR_TABLE, HOUR_TABLE[0]])
    )


@given(st.lists(st.floats(0.0, 1.0, width=32), min_size=2, max_size=50))
def test_a_table_is_interpolated_around_the_hour(positions: list[float]) -> None:
    rows = np.array(positions, np.float32)[:, None]
    preprocessor = Preprocessor(
        [table("hour_position", HOUR_TABLE)], ["hour_position"], scale=False
    )
    found = preprocessor.fit_transform(rows)[:, 0]
    assert found == pytest.approx([value_at(each) for each in rows[:, 0]], abs=1e-5)


def bars_with_bursts(minute: int, stamp_s: int) -> Bars:
    """Return a month of minute bars of which one minute of every hour is wild, if it chooses to."""
    count = 30 * 24 * MINUTES
    generator = np.random.default_rng(0)
    opened = np.arange(count) % MINUTES
    wild = (opened == minute) & (generator.random(count) < 0.5)
    height = generator.lognormal(-8, 0.3, count) * np.where(wild, 5.0, 1.0)
    flat = np.full(count, 100.0)
    return Bars(
        name="made up",
        ts_ns=(START_S + 60 * np.arange(count) + stamp_s) * NS_PER_S,
        open=flat,
        high=100 * np.exp(height),
        low=flat,
        close=flat,
        volume=np.full(count, np.nan),
        interval_s=60,
    )


@pytest.mark.parametrize(("stamp", "stamp_s"), [(Stamp.OPEN, 0), (Stamp.CLOSE, 60)])
def test_the_wild_minute_is_found_whichever_end_a_bar_is_named_by(
    stamp: Stamp, stamp_s: int
) -> None:
    found = hour_table(bars_with_bursts(31, stamp_s), stamp)
    assert found.shape == (MINUTES,)
    assert found.mean() == pytest.approx(0.0, abs=1e-9)
    assert int(found.argmax()) == 31
    assert found[1] > np.median(found)  # half an hour away: folded, it is the same minute


def test_bars_after_a_hole_say_nothing() -> None:
    bars = bars_with_bursts(31, 0)
    hole_ns = np.arange(len(bars)) // 60 * 3_600_000_000_000
    with pytest.raises(TrainingError, match="too few bars in made up: 0 follow 60 whole ones"):
        hour_table(replace(bars, ts_ns=bars.ts_ns + hole_ns))


@pytest.mark.skipif(not BARS.exists(), reason="the sample of real bars is not here")
def test_the_shipped_table_is_what_the_bars_say() -> None:
    assert hour_table(*read_bars([BARS]), Stamp.CLOSE) == pytest.approx(HOUR_TABLE, abs=0.006)


def test_every_anchored_input_raises_the_odds() -> None:
    assert all(weight > 0 for _term, weight in PRIOR_WEIGHTS)
