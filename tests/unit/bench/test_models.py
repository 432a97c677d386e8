"""What is timed costs what real models cost."""

import numpy as np

from schemas.features import NAMES
from tests.bench.models import noisy_events, random_features
from training.recipes import Fitting, recipes

LEAST_SPLITS = 15


def test_trees_of_the_usual_boosting_have_grown() -> None:
    values = random_features(5_000)
    model, columns = recipes("classification")["gbt"].build(NAMES, Fitting(1))
    model.fit(values[:, [NAMES.index(name) for name in columns]], noisy_events(values))
    trees = [each.tree_ for each in model.estimator.estimators_[:, 0]]
    assert len(trees) == 20
    assert np.mean([(tree.children_left >= 0).sum() for tree in trees]) >= LEAST_SPLITS


def test_events_are_rare_and_the_same_each_time() -> None:
    values = random_features(5_000)
    events = noisy_events(values)
    assert 0.05 < events.mean() < 0.2
    assert (events == noisy_events(values)).all()
