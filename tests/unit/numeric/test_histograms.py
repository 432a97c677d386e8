"""Drift of served features against their training."""

import numpy as np
import pytest

from flows.numeric.histograms import MIN_ROWS, population_stability
from schemas.models import FeatureReference


def _reference(values: np.ndarray, undefined: int = 0) -> FeatureReference:
    edges = np.quantile(values, np.linspace(0, 1, 11))
    counts = np.histogram(values, edges)[0].tolist()
    return FeatureReference(feature="f", edges=edges.tolist(), counts=counts, undefined=undefined)


def test_the_training_itself_has_not_moved() -> None:
    values = np.random.default_rng(1).normal(size=2000)
    assert population_stability(_reference(values), values) == pytest.approx(0.0, abs=1e-12)


def test_the_index_is_its_formula_and_grows_with_the_shift() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=5000)
    found = [
        population_stability(_reference(values), random.normal(shift, 1, 5000))
        for shift in (0.0, 0.3, 1.0, 5.0)
    ]
    assert found == sorted(found)
    assert found[0] < 0.02
    assert found[2] > 0.25
    flat = FeatureReference(feature="f", edges=[0.0, 1.0, 2.0], counts=[50, 50], undefined=0)
    moved = population_stability(flat, np.repeat([0.5, 1.5], [300, 100]))
    assert moved == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


def test_values_that_became_undefined_are_drift() -> None:
    values = np.random.default_rng(3).normal(size=1000)
    unknown = np.where(np.arange(1000) % 2, values, np.nan)
    moved = population_stability(_reference(values), unknown)
    assert moved is not None
    assert moved > 1.0


def test_a_few_rows_say_nothing() -> None:
    values = np.random.default_rng(4).normal(size=MIN_ROWS - 1)
    assert population_stability(_reference(values), values) is None
