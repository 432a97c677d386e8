import hashlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from flows.errors import ModelRejectedError
from flows.scoring.onnx_model import OWN_FEATURES, OnnxModel, contract_of, probe_rows
from schemas.features import FEATURE_SET, FEATURES, INDEX, NAMES
from tests.support.models import RETURN, graph_bytes, linear_graph, manifest_for, tiny

ONE = np.array([1], dtype=np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, len(NAMES))).astype(np.float32)


def test_scores_are_what_the_graph_says():
    weights = [0.5, -0.25]
    onnx_bytes = linear_graph(weights, 0.1)
    features = ("spread_bps", "vol_ratio_60_3600")
    model = OnnxModel(manifest_for(onnx_bytes, features=features), onnx_bytes)
    rows = rows_of(50)
    picked = rows[:, [INDEX[name] for name in features]].astype(np.float64)
    scores = model.score(rows)
    assert scores.dtype == np.float64
    assert scores.shape == (50,)
    np.testing.assert_allclose(scores, sigmoid(picked @ weights + 0.1), atol=1e-6)


def test_order_of_the_manifest_is_the_order_of_the_graph():
    onnx_bytes = linear_graph([1.0, 0.0], 0.0, classifier=False)
    rows = rows_of(5)
    for features in (("spread", "imbalance"), ("imbalance", "spread")):
        manifest = manifest_for(onnx_bytes, features=features, target=RETURN)
        scores = OnnxModel(manifest, onnx_bytes).score(rows)
        np.testing.assert_allclose(scores, rows[:, INDEX[features[0]]], rtol=1e-6)


def test_whole_contract_is_passed_on_without_a_copy():
    onnx_bytes = linear_graph([0.01] * len(NAMES), 0.0)
    model = OnnxModel(manifest_for(onnx_bytes, features=NAMES), onnx_bytes)
    assert model._columns is None
    rows = rows_of(9)
    np.testing.assert_allclose(
        model.score(rows), sigmoid(rows.astype(np.float64).sum(axis=1) * 0.01), atol=1e-6
    )
    np.testing.assert_array_equal(model.score(np.asfortranarray(rows)), model.score(rows))


def test_scores_of_shape_n_are_taken_too():
    onnx_bytes = graph_bytes(
        [
            helper.make_node("IsNaN", ["x"], ["u"]),
            helper.make_node("Where", ["u", "zero", "x"], ["k"]),
            helper.make_node("Squeeze", ["k", "axis"], ["flat"]),
            helper.make_node("Sigmoid", ["flat"], ["score"]),
        ],
        {"zero": np.float32(0), "axis": np.array([1])},
        width=1,
        output_shape=(None,),
    )
    model = OnnxModel(manifest_for(onnx_bytes), onnx_bytes)
    assert model.score(rows_of(3)).shape == (3,)


def test_empty_batch_has_no_scores():
    manifest, onnx_bytes = tiny(0.4)
    assert OnnxModel(manifest, onnx_bytes).score(rows_of(0)).shape == (0,)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((3, len(NAMES))),
        np.zeros((3, len(NAMES) - 1), dtype=np.float32),
        np.zeros(len(NAMES), dtype=np.float32),
    ],
)
def test_matrix_of_another_shape_or_type_is_a_mistake_of_the_caller(values):
    with pytest.raises(ValueError, match="float32 of shape"):
        OnnxModel(*tiny(0.4)).score(values)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_the_batch(cuts, seed):
    random = np.random.default_rng(seed)
    onnx_bytes = linear_graph(list(random.normal(size=len(NAMES))), 0.0)
    model = OnnxModel(manifest_for(onnx_bytes, features=NAMES), onnx_bytes)
    rows = rows_of(sum(cuts), seed)
    rows[random.random(rows.shape) < 0.2] = np.nan
    parts = np.split(rows, np.cumsum(cuts)[:-1])
    together = model.score(rows)
    np.testing.assert_allclose(
        np.concatenate([model.score(part) for part in parts]), together, atol=1e-6
    )


def refused(manifest, onnx_bytes, match):
    with pytest.raises(ModelRejectedError, match=match) as caught:
        OnnxModel(manifest, onnx_bytes)
    assert manifest.ref in str(caught.value)


def test_tampered_graph_is_refused_with_both_hashes():
    manifest, onnx_bytes = tiny(0.4)
    found = hashlib.sha256(onnx_bytes + b"x").hexdigest()
    refused(manifest, onnx_bytes + b"x", f"{found}.*{manifest.sha256}")


def test_other_feature_set_is_refused_and_said_so():
    manifest, onnx_bytes = tiny(0.4)
    other = msgspec.structs.replace(manifest, feature_set=FEATURE_SET + 1)
    refused(other, onnx_bytes, f"FEATURE_SET {FEATURE_SET + 1}.*{FEATURE_SET}")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08" * 40])
def test_what_is_no_graph_is_refused(content):
    refused(manifest_for(content), content, "ONNX|opset")


def test_unknown_operator_is_refused():
    onnx_bytes = graph_bytes([helper.make_node("Conjure", ["x"], ["score"])], {}, width=1)
    refused(manifest_for(onnx_bytes), onnx_bytes, "ONNX Runtime cannot load it")


@pytest.mark.parametrize("opset", [6, 99])
def test_opset_out_of_range_is_refused(opset):
    onnx_bytes = graph_bytes(
        [helper.make_node("Sigmoid", ["x"], ["score"])], {}, width=1, opset=opset
    )
    refused(manifest_for(onnx_bytes, opset=opset), onnx_bytes, f"opset {opset}")


def test_opset_that_differs_from_the_manifest_is_refused():
    manifest, onnx_bytes = tiny(0.4)
    refused(msgspec.structs.replace(manifest, opset=12), onnx_bytes, "opset 17.*12")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"level": None}, "has no level"),
        ({"level": float("nan")}, "has no level"),
        ({"horizon_s": 0}, "0 s ahead"),
        ({"lookback_s": -1}, "-1 s back"),
        ({"definition": "return"}, "classification by the definition 'return'"),
        ({"kind": "regression"}, "regression by the definition 'relative'"),
    ],
    ids=["no level", "an undefined level", "no horizon", "no past", "a return", "a forecast"],
)
def test_a_target_without_a_truth_is_refused(changes, cause):
    manifest, onnx_bytes = tiny(0.4)
    target = msgspec.structs.replace(manifest.target, **changes)
    refused(msgspec.structs.replace(manifest, target=target), onnx_bytes, cause)


def test_unknown_feature_is_refused():
    manifest, onnx_bytes = tiny(0.4, features=("moon_phase",))
    refused(manifest, onnx_bytes, "moon_phase")


@pytest.mark.parametrize("features", [(), ("spread", "spread")])
def test_no_feature_or_one_twice_is_refused(features):
    onnx_bytes = linear_graph([0.1] * max(1, len(features)), 0.0)
    refused(manifest_for(onnx_bytes, features=features), onnx_bytes, "no feature, or one twice")


def test_width_that_differs_from_the_manifest_is_refused():
    manifest, onnx_bytes = tiny(0.4, features=("spread", "imbalance"))
    refused(manifest, onnx_bytes, r"shape \[None, 2\]")


def test_fixed_batch_size_is_refused():
    onnx_bytes = graph_bytes([helper.make_node("Sigmoid", ["x"], ["score"])], {}, width=1, batch=1)
    refused(manifest_for(onnx_bytes), onnx_bytes, "must be tensor")


def test_label_in_the_first_output_is_refused():
    onnx_bytes = graph_bytes(
        [helper.make_node("Cast", ["x"], ["score"], to=TensorProto.INT64)],
        {},
        width=1,
        output_type=TensorProto.INT64,
    )
    refused(manifest_for(onnx_bytes), onnx_bytes, "score must come first")


def test_two_columns_of_probabilities_are_refused():
    onnx_bytes = graph_bytes(
        [helper.make_node("Concat", ["x", "x"], ["score"], axis=1)],
        {},
        width=1,
        output_shape=(None, 2),
    )
    refused(manifest_for(onnx_bytes), onnx_bytes, r"shape \(16, 2\)")


def test_graph_without_imputation_is_refused():
    onnx_bytes = linear_graph([1.0], 0.0, impute=False)
    refused(manifest_for(onnx_bytes), onnx_bytes, "undefined scores nan")


def test_score_out_of_range_is_refused():
    onnx_bytes = linear_graph([1.0], 2.0, classifier=False)
    refused(manifest_for(onnx_bytes), onnx_bytes, "probability")


def test_score_that_depends_on_the_other_rows_is_refused():
    onnx_bytes = graph_bytes(
        [
            helper.make_node("IsNaN", ["x"], ["u"]),
            helper.make_node("Where", ["u", "zero", "x"], ["k"]),
            helper.make_node("ReduceMean", ["k"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["k", "mean"], ["centred"]),
            helper.make_node("Sigmoid", ["centred"], ["score"]),
        ],
        {"zero": np.float32(0)},
        width=1,
    )
    refused(manifest_for(onnx_bytes), onnx_bytes, "rows beside it")


def test_model_of_its_own_columns_is_scored_but_not_by_the_contract():
    manifest, onnx_bytes = tiny(0.4, features=("close_1",), feature_set=OWN_FEATURES)
    refused(manifest, onnx_bytes, "close_1")
    model = OnnxModel(manifest, onnx_bytes, contract=contract_of(manifest))
    assert model.score(np.zeros((2, 1), dtype=np.float32)) == pytest.approx([0.4, 0.4])


def test_probe_rows_lie_in_the_contract():
    rows = probe_rows()
    assert rows.shape == (16, len(FEATURES))
    assert np.isnan(rows[0]).all()
    assert not np.isinf(rows).any()
    for column, feature in zip(rows.T, FEATURES, strict=True):
        known = column[~np.isnan(column)]
        assert (known >= np.float32(feature.low)).all(), feature.name
        assert (known <= np.float32(feature.high)).all(), feature.name
    np.testing.assert_array_equal(probe_rows(), rows)
