"""What is timed costs what real models cost."""

from typing import Any

import numpy as np
import pytest

from schemas.features import NAMES
from tests.bench.inference import FIT_ROWS
from tests.bench.models import ROW_COUNT, noisy_events, noisy_returns, random_features
from training.estimators.fitted import Scaled
from training.estimators.recipes import Fitting, recipes

LEAST_SPLITS = 15


def trees_of(kind: str, values: np.ndarray, labels: np.ndarray) -> list[Any]:
    model, columns = recipes(kind)["gbt"].build(NAMES, Fitting(1))
    model.fit(values[:, [NAMES.index(name) for name in columns]], labels)
    boosting = model.estimator
    if isinstance(boosting, Scaled):
        boosting = boosting.estimator
    return [each.tree_ for each in boosting.estimators_[:, 0]]


@pytest.mark.parametrize(
    ("kind", "rows", "label"),
    [
        ("classification", ROW_COUNT, noisy_events),
        ("regression", FIT_ROWS, noisy_returns),
    ],
)
def test_trees_of_the_usual_boosting_have_grown(kind: str, rows: int, label: Any) -> None:
    values = random_features(rows)
    trees = trees_of(kind, values, label(values))
    assert len(trees) == 20
    assert np.mean([(tree.children_left >= 0).sum() for tree in trees]) >= LEAST_SPLITS


def test_events_are_rare_and_the_same_each_time() -> None:
    values = random_features(ROW_COUNT)
    events = noisy_events(values)
    assert 0.05 < events.mean() < 0.2
    assert (events == noisy_events(values)).all()
