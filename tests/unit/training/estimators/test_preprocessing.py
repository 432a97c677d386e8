"""What model inputs say of a symbol whose past is short."""

import numpy as np
import pytest

from schemas.features import NAMES
from training.estimators.preprocessing import HISTORY, Preprocessor, log, soft_log
from training.estimators.recipes import Fitting, recipes

VOL_PER_SECOND = 1e-5


def steady(history_s: np.ndarray) -> np.ndarray:
    """Return features of a symbol of constant volatility that is known for so long."""
    values = np.full((len(history_s), len(NAMES)), 0.5, np.float32)
    for name in NAMES:
        if name.startswith(("grid_vol_", "realized_vol_")):
            seconds = np.minimum(float(name.rsplit("_", 1)[1]), history_s)
            values[:, NAMES.index(name)] = VOL_PER_SECOND * np.sqrt(seconds)
    values[:, NAMES.index(HISTORY)] = history_s
    return values


@pytest.mark.parametrize("variant", ["last_minute", "ewma", "har", "logreg", "anchored"])
def test_a_steady_symbol_looks_the_same_however_long_it_is_known(variant: str) -> None:
    known = steady(np.array([300.0, 600.0, 900.0, 1_800.0, 3_600.0]))
    generator = np.random.default_rng(0)
    training = steady(np.full(500, 3_600.0))
    for name in ("grid_vol_60", "grid_vol_300", "grid_vol_900", "realized_vol_5"):
        training[:, NAMES.index(name)] *= generator.lognormal(0, 0.3, 500).astype(np.float32)
    model, columns = recipes("classification")[variant].build(NAMES, Fitting())
    picked = [NAMES.index(name) for name in columns]
    model.fit(training[:, picked], generator.random(500) < 0.2)
    scores = model.score(known[:, picked])
    assert scores == pytest.approx(scores[-1], rel=1e-4)


def test_a_sum_over_more_than_is_known_counts_for_its_whole_window() -> None:
    preprocessor = Preprocessor([log("grid_vol_900")], ["grid_vol_900", HISTORY], scale=False)
    values = np.array([[2e-3, 3_600.0], [1e-3, 225.0], [2e-3, 900.0]], np.float32)
    made = preprocessor.fit(values).transform(values)[:, 0]
    assert made == pytest.approx(np.log(2e-3), rel=1e-6)


def test_an_input_that_hardly_moves_is_not_blown_up() -> None:
    generator = np.random.default_rng(1)
    columns = ["grid_vol_60", "grid_vol_3600", HISTORY]
    values = np.full((1_000, 3), 1e-3, np.float32)
    values[:, 0] *= generator.normal(1, 1e-3, 1_000).astype(np.float32)
    values[:, 2] = 3_600.0
    preprocessor = Preprocessor([soft_log("grid_vol_60", 60, "grid_vol_3600", 3_600, 0.1)], columns)
    made = preprocessor.fit(values).transform(values)
    assert np.abs(made).max() < 0.5
