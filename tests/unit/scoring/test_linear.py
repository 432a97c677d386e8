"""The sum that a linear graph ends in, beside the graph itself and the estimator's coefficients."""

import numpy as np
import pytest

from flows.scoring.baseline import FEATURE, INTERCEPT, OFFSET, SLOPE, build_zscore
from flows.scoring.linear import linear_form
from flows.scoring.onnx_model import probe_rows
from schemas.features import INDEX, NAMES
from training.estimators.export import score_onnx, to_bytes
from training.estimators.recipes import Fitting, recipes


def _fitted(kind: str, name: str):
    random = np.random.default_rng(3)
    model, columns = recipes(kind)[name].build(NAMES, Fitting())
    spread = np.exp(random.normal(0, 0.5, (400, len(NAMES))))
    rows = (np.abs(probe_rows()[1]) * spread).astype(np.float32)
    values = rows[:, [INDEX[column] for column in columns]]
    values[random.random(values.shape) < 0.05] = np.nan
    events = random.random(len(values)) < 0.3
    truth = events if kind == "classification" else random.normal(0, 1e-3, len(values))
    model.fit(values, truth)
    return model, columns, values


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("classification", "logreg"),
        ("classification", "anchored"),
        ("classification", "har"),
        ("classification", "zscore"),
        ("regression", "ridge"),
    ],
)
def test_base_and_amounts_come_to_the_score(kind: str, name: str) -> None:
    model, columns, values = _fitted(kind, name)
    content = to_bytes(model, len(columns))
    form = linear_form(content, columns)
    assert form is not None
    for row, score in zip(values[:20], score_onnx(content, values[:20]), strict=True):
        found = form.explain(row)
        total = found.base + sum(term.amount for term in found.terms)
        assert found.score == pytest.approx(score, abs=1e-9)
        if kind == "classification":
            assert 1 / (1 + np.exp(-total)) == pytest.approx(score, abs=1e-5)
        else:
            assert total == pytest.approx(score, abs=1e-7)
        assert {feature for term in found.terms for feature in term.features} <= set(columns)


def test_amounts_are_the_coefficients_times_the_columns() -> None:
    model, columns, values = _fitted("classification", "har")
    form = linear_form(to_bytes(model, len(columns)), columns)
    assert form is not None
    columns_of = model.preprocessor
    unknown = np.full_like(values[0], np.nan)
    for row in values[:10]:
        moved = columns_of.transform(row[None]) - columns_of.transform(unknown[None])
        wanted = dict(zip(columns_of.names, moved[0] * model.estimator.coef_[0], strict=True))
        for term in form.explain(row).terms:
            # The history says how far each window is filled, so it belongs to all of them.
            named = [feature for feature in term.features if feature != "history_s"]
            assert term.amount == pytest.approx(wanted[f"log {named[0]}"], abs=1e-5)


def test_an_unknown_row_adds_nothing() -> None:
    model, columns, values = _fitted("classification", "logreg")
    form = linear_form(to_bytes(model, len(columns)), columns)
    assert form is not None
    found = form.explain(np.full_like(values[0], np.nan))
    assert [term.amount for term in found.terms] == [0.0] * len(found.terms)


def test_the_built_in_model_is_its_formula() -> None:
    manifest, content = build_zscore()
    form = linear_form(content, manifest.features)
    assert form is not None
    found = form.explain(np.array([2.5], np.float32))
    (term,) = found.terms
    assert term.features == (FEATURE,)
    total = SLOPE * np.log(2.5 + OFFSET) + INTERCEPT
    assert found.base + term.amount == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "name"), [("classification", "gbt"), ("classification", "rf"), ("regression", "mlp")]
)
def test_trees_and_networks_have_no_such_form(kind: str, name: str) -> None:
    model, columns, _values = _fitted(kind, name)
    assert linear_form(to_bytes(model, len(columns)), columns) is None
