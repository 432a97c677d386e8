"""Exports of classifiers, as tools make them, become graphs that give the score alone."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flows.errors import ModelRejectedError
from training.publishing.adapting import FEATURES, SCORE, check_score_first, with_the_score

ROWS = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)


def scores_of(onnx_bytes: bytes, rows=ROWS) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx_bytes)
    (source,) = session.get_inputs()
    assert source.type == "tensor(float)"
    assert [each.name for each in session.get_outputs()] == [SCORE]
    (found,) = session.run(None, {source.name: rows})
    assert found.dtype == np.float32
    return found


def trained(estimator, classes: int = 2):
    events = np.digitize(ROWS[:, 0] + ROWS[:, 1], [0.0, 1.0][: classes - 1])
    return make_pipeline(StandardScaler(), estimator).fit(ROWS, events)


@pytest.mark.parametrize("zipmap", [True, False], ids=["zipmap", "table"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), GradientBoostingClassifier(n_estimators=5)],
    ids=["logreg", "trees"],
)
def test_a_column_of_an_exported_classifier_is_its_score(estimator, dtype, zipmap):
    model = trained(estimator)
    exported = to_onnx(model, ROWS[:1].astype(dtype), options={"zipmap": zipmap})
    (output,) = {each.name for each in exported.graph.output} - {"label", "output_label"}
    for column in (0, 1):
        found = scores_of(with_the_score(exported.SerializeToString(), output, column))
        expected = model.predict_proba(ROWS)[:, [column]]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_of_three_classes_can_be_the_event():
    model = trained(LogisticRegression(), 3)
    exported = to_onnx(model, ROWS[:1]).SerializeToString()
    found = scores_of(with_the_score(exported, "output_probability", 2))
    np.testing.assert_allclose(found, model.predict_proba(ROWS)[:, [2]], atol=1e-6)


@pytest.mark.parametrize("shape", [(None, 1), (None,)])
def test_a_whole_output_of_double_precision_is_taken(shape):
    onnx_bytes = graph(
        [helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=len(shape) - 1)],
        helper.make_tensor_value_info("y", TensorProto.DOUBLE, shape),
        kind=TensorProto.DOUBLE,
        axis=np.array([1]),
    )
    found = scores_of(with_the_score(onnx_bytes, "y", None))
    assert found.shape == (300, 1)[: len(shape)]
    np.testing.assert_allclose(found.ravel(), ROWS.sum(axis=1), atol=1e-5)


def graph(nodes, *outputs, kind=TensorProto.FLOAT, domains=(("", 17),), **constants) -> bytes:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [None, 3])],
        list(outputs),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(made, ir_version=8, opset_imports=opsets).SerializeToString()


def test_a_graph_without_operators_of_onnx_itself_gets_its_opset():
    onnx_bytes = graph(
        [helper.make_node("Normalizer", ["x"], ["y"], domain="ai.onnx.ml", norm="L1")],
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3]),
        domains=[("ai.onnx.ml", 1)],
    )
    adapted = with_the_score(onnx_bytes, "y", 1)
    assert "" in {entry.domain for entry in onnx.load_model_from_string(adapted).opset_import}
    expected = ROWS[:, [1]] / np.abs(ROWS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores_of(adapted), expected, atol=1e-6)


IDENTITY = helper.make_node("Identity", ["x"], ["y"])
TABLE = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])


def test_an_output_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ModelRejectedError, match="no output 'z'; it has y"):
        with_the_score(graph([IDENTITY], TABLE), "z", 1)


def test_a_label_is_no_score():
    label = helper.make_tensor_value_info("y", TensorProto.INT64, [None])
    onnx_bytes = graph([helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)], label)
    with pytest.raises(ModelRejectedError, match=r"'y' is int64 \[None\], no table"):
        with_the_score(onnx_bytes, "y", None)


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(ModelRejectedError, match=r"'y' is float \[None, 3\]: it has no column 3"):
        with_the_score(graph([IDENTITY], TABLE), "y", 3)


def test_a_column_of_an_output_without_columns_is_refused():
    flat = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    onnx_bytes = graph([helper.make_node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)], flat)
    with pytest.raises(ModelRejectedError, match=r"float \[None\]: it has no column 0"):
        with_the_score(onnx_bytes, "y", 0)


@pytest.mark.parametrize("name", [SCORE, FEATURES])
def test_a_graph_that_uses_the_names_that_are_added_is_refused(name):
    nodes = [helper.make_node("Identity", ["x"], [name]), helper.make_node("Abs", [name], ["y"])]
    with pytest.raises(ModelRejectedError, match="uses the name"):
        with_the_score(graph(nodes, TABLE), "y", 0)


def test_what_the_score_is_has_to_be_plain():
    check_score_first(graph([IDENTITY], onnx.helper.make_tensor_value_info("y", 1, [None, 1])), "m")
    exported = to_onnx(trained(LogisticRegression()), ROWS[:1]).SerializeToString()
    told = r"m\.onnx: .*--output NAME.*output_label \(int64 .*\), output_probability \(sequence\)"
    with pytest.raises(ModelRejectedError, match=told):
        check_score_first(exported, "m.onnx")
    with pytest.raises(ModelRejectedError, match=r"y \(float \[None, 3\]\)"):
        check_score_first(graph([IDENTITY], TABLE), "m")
