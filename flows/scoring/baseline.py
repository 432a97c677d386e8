"""The z-score baseline: a graph that needs no training, served until something better is there.

``volatility_spike``: with the ratio r = ``vol_ratio_60_3600``, the last minute's volatility in
units of the symbol's own hour,

    score = 1 / (1 + exp(-(SLOPE * log(r + OFFSET) + INTERCEPT)))

that is, the probability grows with how far the minute's log volatility lies from the hour's. The
offset keeps a minute without a move (r = 0) finite. The constants were fitted by eye between a
BTC perpetual and a thin ETH market, 48 h each, so that the score is near the share of spikes; they
are those of no one market and are meant to be beaten. An undefined ratio is imputed in the graph
by the one that scores 0.10, the prevalence that the target's definition aims at.

``forward_return`` has no built-in model. Its honest baseline is persistence, a forecast of zero:
nothing to serve. Microprice minus mid explains 0.3 % of the next minute's variance on one of those
markets and has the wrong sign on the other. The target is left out of predictions until a trained
model is promoted.
"""

import numpy as np

from flows.scoring.names import sha256_of, version_of
from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET
from schemas.models import ModelManifest, TargetSpec

VARIANT = "zscore"
FEATURE = "vol_ratio_60_3600"

SLOPE = 1.15
INTERCEPT = -2.4
OFFSET = 0.35
IMPUTED_RATIO = 0.843  # scores 0.10

# A minute 1.6 times as volatile as its hour: one in ten on both markets.
LEVEL = 1.6
THRESHOLD = 0.162  # the score of that ratio

OPSET = 17
# Of the recipe above, not of the machine: two processes that start at once publish the same.
CREATED_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def build_zscore() -> tuple[ModelManifest, bytes]:
    """Return manifest and graph of the baseline for ``volatility_spike``; always the same."""
    graph = _graph()
    manifest = ModelManifest(
        name=VARIANT,
        version=version_of(CREATED_NS, graph),
        variant=VARIANT,
        target=TargetSpec(
            name="volatility_spike", kind="classification", definition="relative", level=LEVEL
        ),
        sha256=sha256_of(graph),
        feature_set=FEATURE_SET,
        features=[FEATURE],
        provenance="builtin",
        created_ns=CREATED_NS,
        opset=OPSET,
        threshold=THRESHOLD,
        notes="Built in: logistic of the last minute's log volatility against its own hour.",
    )
    return manifest, graph


def ensure_baseline(store: ModelStore, target: str) -> str | None:
    """Publish the built-in model and make it champion, if the target has no champion.

    Safe to call from several processes at once.

    Returns
    -------
    The champion's reference; None for a target that has neither champion nor built-in model.
    """
    champion = store.aliases(target).champion
    if champion is not None:
        return champion
    if target != "volatility_spike":
        return None
    ref = store.publish(*build_zscore())
    return store.install(target, champion=ref, by="baseline").champion


def _graph() -> bytes:
    # Here, not above: onnx takes a sixth of a second to import, and few starts need it.
    from onnx import TensorProto, checker, helper, numpy_helper

    def constant(name: str, value: float) -> TensorProto:
        return numpy_helper.from_array(np.array([value], dtype=np.float32), name)

    nodes = [
        helper.make_node("IsNaN", ["features"], ["undefined"]),
        helper.make_node("Where", ["undefined", "imputed", "features"], ["ratio"]),
        helper.make_node("Add", ["ratio", "offset"], ["shifted"]),
        helper.make_node("Log", ["shifted"], ["log_ratio"]),
        helper.make_node("Mul", ["log_ratio", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "intercept"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        VARIANT,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        initializer=[
            constant("imputed", IMPUTED_RATIO),
            constant("offset", OFFSET),
            constant("slope", SLOPE),
            constant("intercept", INTERCEPT),
        ],
    )
    model = helper.make_model(
        graph,
        producer_name="voltick",
        # The oldest format that holds the opset, whatever this library would write by itself.
        ir_version=8,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
