"""Every recipe's ONNX graph says what scikit-learn says."""

import numpy as np
import onnx
import pytest

from flows.errors import TrainingError
from schemas.features import NAMES
from tests.support.synthetic import random_values
from training.estimators.export import TOLERANCE, check_parity, score_onnx, to_bytes
from training.estimators.recipes import CLASSIFIERS, FORECASTERS, Fitting


def synthetic(rows: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    values = random_values(generator, rows, 1.0)
    values[generator.random(values.shape) < 0.05] = np.nan
    values[generator.random(values.shape) < 0.02] = 0.0
    return values


def labels(values: np.ndarray) -> np.ndarray:
    signal = np.nan_to_num(np.log(np.abs(values[:, NAMES.index("grid_vol_60")]) + 1e-3))
    noise = np.random.default_rng(1).normal(0, 1, len(values))
    return signal + noise > np.quantile(signal + noise, 0.85)


@pytest.mark.parametrize("recipe", CLASSIFIERS, ids=lambda recipe: recipe.name)
def test_a_classifier_scores_alike_in_onnx_and_in_scikit_learn(recipe):
    if recipe.name == "xgb":
        pytest.importorskip("xgboost", reason="the extra is not installed")
    values = synthetic(4_000)
    model, columns = recipe.build(NAMES, Fitting(seed=3))
    picked = values[:, [NAMES.index(name) for name in columns]]
    model.fit(picked[:3_000], labels(values)[:3_000])
    onnx_bytes = to_bytes(model, len(columns))
    assert check_parity(recipe.name, model, onnx_bytes, picked) <= TOLERANCE
    scores = score_onnx(onnx_bytes, picked)
    assert scores.shape == (4_000,)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.std() > 0


@pytest.mark.parametrize("recipe", FORECASTERS, ids=lambda recipe: recipe.name)
def test_a_forecaster_scores_alike_in_onnx_and_in_scikit_learn(recipe):
    values = synthetic(2_000)
    truth = np.random.default_rng(2).normal(0, 1e-3, len(values))
    model, columns = recipe.build(NAMES, Fitting(seed=3))
    picked = values[:, [NAMES.index(name) for name in columns]]
    model.fit(picked[:1_500], truth[:1_500])
    assert check_parity(recipe.name, model, to_bytes(model, len(columns)), picked) <= TOLERANCE


def splits(onnx_bytes: bytes) -> list[tuple[int, np.float32]]:
    """Every split of a graph's trees: number of the tree's input, threshold."""
    found = []
    for node in onnx.load_model_from_string(onnx_bytes).graph.node:
        table = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        found += [
            (feature, np.float32(threshold))
            for feature, threshold, mode in zip(
                table.get("nodes_featureids", []),
                table.get("nodes_values", []),
                table.get("nodes_modes", []),
                strict=True,
            )
            if mode != b"LEAF"
        ]
    return found


@pytest.mark.parametrize("name", ["gbt", "gbt_tuned", "rf", "xgb"])
def test_rows_exactly_on_a_split_and_beside_it_go_the_same_way(name):
    if name == "xgb":
        pytest.importorskip("xgboost", reason="the extra is not installed")
    recipe = next(recipe for recipe in CLASSIFIERS if recipe.name == name)
    values = synthetic(4_000)
    model, columns = recipe.build(NAMES, Fitting(seed=3))
    picked = values[:, [NAMES.index(name) for name in columns]]
    model.fit(picked, labels(values))
    onnx_bytes = to_bytes(model, len(columns))
    rows = []
    for number, (feature, threshold) in enumerate(splits(onnx_bytes)):
        for value in (
            threshold,
            *(np.nextafter(threshold, np.float32(s * np.inf)) for s in (-1, 1)),
        ):
            row = picked[number % len(picked)].copy()
            row[model.preprocessor.raw_[feature]] = value
            rows.append(row)
    assert len(rows) > 100
    assert check_parity(name, model, onnx_bytes, np.stack(rows)) <= TOLERANCE


def test_rows_without_any_defined_value_get_a_finite_score():
    recipe = next(recipe for recipe in CLASSIFIERS if recipe.name == "logreg")
    values = synthetic(1_000)
    model, columns = recipe.build(NAMES, Fitting(seed=0))
    picked = values[:, [NAMES.index(name) for name in columns]]
    model.fit(picked, labels(values))
    nothing = np.full((3, len(columns)), np.nan, np.float32)
    assert np.isfinite(score_onnx(to_bytes(model, len(columns)), nothing)).all()


def test_a_graph_that_says_something_else_is_refused():
    recipe = next(recipe for recipe in CLASSIFIERS if recipe.name == "har")
    values = synthetic(1_000)
    model, columns = recipe.build(NAMES, Fitting(seed=0))
    picked = values[:, [NAMES.index(name) for name in columns]]
    model.fit(picked, labels(values))
    other, _ = recipe.build(NAMES, Fitting(seed=0))
    other.fit(picked, ~labels(values))
    with pytest.raises(TrainingError, match=r"differ by .* not published"):
        check_parity("har", model, to_bytes(other, len(columns)), picked)


def test_infinite_training_values_are_refused_by_name():
    recipe = next(recipe for recipe in CLASSIFIERS if recipe.name == "har")
    values = synthetic(100)
    model, columns = recipe.build(NAMES, Fitting(seed=0))
    picked = values[:, [NAMES.index(name) for name in columns]]
    picked[5, 0] = np.inf
    with pytest.raises(TrainingError, match=f"infinite .* {columns[0]}"):
        model.fit(picked, labels(values))


def test_a_recipe_leaves_out_terms_that_are_undefined():
    recipe = next(recipe for recipe in CLASSIFIERS if recipe.name == "logreg")
    known = [name for name in NAMES if "imbalance" not in name]
    _, columns = recipe.build(known, Fitting(seed=0))
    assert "imbalance" not in columns
    with pytest.raises(TrainingError, match="no input that varies"):
        recipe.build([], Fitting(seed=0))
