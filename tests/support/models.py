"""Tiny ONNX models for tests: known scores, made in a millisecond."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from flows.scoring.names import sha256_of, version_of
from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET
from schemas.models import ModelManifest, Provenance, TargetSpec

CREATED_NS = 1_790_000_000_000_000_000
OPSET = 17

SPIKE = TargetSpec(name="volatility_spike", kind="classification", definition="relative", level=1.6)
RETURN = TargetSpec(name="forward_return", kind="regression", definition="return")


def graph_bytes(
    nodes,
    constants,
    *,
    width,
    batch=None,
    output_type=TensorProto.FLOAT,
    opset=OPSET,
    output_shape=(None, 1),
):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width])],
        [helper.make_tensor_value_info("score", output_type, list(output_shape))],
        initializer=[
            numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
        ],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
    return model.SerializeToString(deterministic=True)


def linear_graph(
    weights: list[float], bias: float, *, classifier: bool = True, impute: bool = True
) -> bytes:
    """score = sigmoid(x @ weights + bias), or without the sigmoid; NaN is taken as 0."""
    nodes = []
    source = "x"
    if impute:
        nodes += [
            helper.make_node("IsNaN", ["x"], ["undefined"]),
            helper.make_node("Where", ["undefined", "zero", "x"], ["known"]),
        ]
        source = "known"
    out = "linear" if classifier else "score"
    nodes.append(helper.make_node("Gemm", [source, "weights", "bias"], [out]))
    if classifier:
        nodes.append(helper.make_node("Sigmoid", ["linear"], ["score"]))
    constants = {
        "weights": np.array(weights, dtype=np.float32).reshape(-1, 1),
        "bias": np.array([bias], dtype=np.float32),
    }
    if impute:
        constants["zero"] = np.array([0], dtype=np.float32)
    return graph_bytes(nodes, constants, width=len(weights))


def manifest_for(
    onnx_bytes: bytes,
    *,
    name: str = "tiny",
    variant: str = "tiny",
    target: TargetSpec = SPIKE,
    features: tuple[str, ...] = ("vol_ratio_60_3600",),
    provenance: Provenance = "recorded",
    created_ns: int = CREATED_NS,
    threshold: float | None = 0.5,
    feature_set: int = FEATURE_SET,
    opset: int = OPSET,
) -> ModelManifest:
    return ModelManifest(
        name=name,
        version=version_of(created_ns, onnx_bytes),
        variant=variant,
        target=target,
        sha256=sha256_of(onnx_bytes),
        feature_set=feature_set,
        features=list(features),
        provenance=provenance,
        created_ns=created_ns,
        opset=opset,
        threshold=threshold if target.kind == "classification" else None,
    )


def tiny(score: float = 0.5, *, weight: float = 0.0, **fields) -> tuple[ModelManifest, bytes]:
    """A model whose score is ``score`` where its one feature is 0 or undefined."""
    target = fields.get("target", SPIKE)
    classifier = target.kind == "classification"
    bias = float(np.log(score / (1 - score))) if classifier else score
    onnx_bytes = linear_graph([weight], bias, classifier=classifier)
    return manifest_for(onnx_bytes, **fields), onnx_bytes


def publish_tiny(store: ModelStore, score: float = 0.5, **fields) -> str:
    """Publish :func:`tiny` and return its reference."""
    return store.publish(*tiny(score, **fields))
