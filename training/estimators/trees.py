"""Boosted trees as ONNX's flat table, for the two kinds that no converter writes here.

XGBoost would need a second converter package, and skl2onnx's histogram boosting fails with newer
protobuf and onnx. Both are a sum of leaves; a comparison in float32 can be written exactly.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from training.estimators.graph import GraphBuilder


class TreeTable:
    """Columns of a TreeEnsembleRegressor."""

    def __init__(self) -> None:
        self._nodes: list[tuple[int, int, int, str, float, int, int]] = []
        self._leaves: list[tuple[int, int, float]] = []

    def leaf(self, tree: int, node: int, value: float) -> None:
        """Add a leaf."""
        self._nodes.append((tree, node, 0, "LEAF", 0.0, 0, 0))
        self._leaves.append((tree, node, value))

    def split(
        self, tree: int, node: int, feature: int, mode: str, threshold: float, yes: int, no: int
    ) -> None:
        """Add a split: to ``yes`` where the feature compares true with a float32 threshold."""
        self._nodes.append((tree, node, feature, mode, threshold, yes, no))

    def to_graph(self, graph: GraphBuilder, source: str, base: float) -> str:
        """Add the sum of the trees' leaves and ``base``: float32, shape (n, 1)."""
        trees, names, features, modes, values, yes, no = (
            list(column) for column in zip(*self._nodes, strict=True)
        )
        return graph.add(
            "TreeEnsembleRegressor",
            source,
            domain="ai.onnx.ml",
            n_targets=1,
            base_values=[base],
            nodes_treeids=trees,
            nodes_nodeids=names,
            nodes_featureids=features,
            nodes_modes=modes,
            nodes_values=values,
            nodes_truenodeids=yes,
            nodes_falsenodeids=no,
            nodes_missing_value_tracks_true=[0] * len(trees),
            target_treeids=[leaf[0] for leaf in self._leaves],
            target_nodeids=[leaf[1] for leaf in self._leaves],
            target_ids=[0] * len(self._leaves),
            target_weights=[leaf[2] for leaf in self._leaves],
        )


def below(threshold: float) -> float:
    """Return the largest float32 not above a float64 threshold.

    For a float32 x, ``x <= threshold`` holds in float64 exactly where ``x <= below(threshold)``.
    """
    nearest = np.float32(threshold)
    if float(nearest) > threshold:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)


def histogram_boosting_to_graph(
    estimator: HistGradientBoostingClassifier, graph: GraphBuilder, source: str
) -> str:
    """Add a fitted two-class histogram gradient boosting: probability of class 1, (n, 1)."""
    table = TreeTable()
    for tree, (predictor,) in enumerate(estimator._predictors):  # noqa: SLF001  # no public view
        for name, node in enumerate(predictor.nodes):
            if node["is_leaf"]:
                table.leaf(tree, name, float(node["value"]))
            else:
                table.split(
                    tree,
                    name,
                    int(node["feature_idx"]),
                    "BRANCH_LEQ",
                    below(float(node["num_threshold"])),
                    int(node["left"]),
                    int(node["right"]),
                )
    base = float(np.reshape(estimator._baseline_prediction, -1)[0])  # noqa: SLF001
    return graph.add("Sigmoid", table.to_graph(graph, source, base))


def xgboost_to_graph(dumps: list[Any], prior: float, graph: GraphBuilder, source: str) -> str:
    """Add XGBoost's trees, as dumped to JSON: probability of class 1, (n, 1).

    The source has no undefined values
    (:class:`training.estimators.preprocessing.Preprocessor` fills them), so that the branch that
    XGBoost learns for them is never taken.

    Parameters
    ----------
    dumps
        Parsed trees of ``Booster.get_dump(dump_format="json")``.
    prior
        The booster's ``base_score``, a probability.
    """
    table = TreeTable()

    def walk(tree: int, node: dict[str, Any]) -> None:
        name = int(node["nodeid"])
        if "leaf" in node:
            table.leaf(tree, name, float(node["leaf"]))
            return
        feature = int(str(node["split"]).removeprefix("f"))
        threshold = float(np.float32(node["split_condition"]))
        yes, no = int(node["yes"]), int(node["no"])
        table.split(tree, name, feature, "BRANCH_LT", threshold, yes, no)
        for child in node["children"]:
            walk(tree, child)

    for tree, root in enumerate(dumps):
        walk(tree, root)
    margin = table.to_graph(graph, source, float(np.log(prior / (1 - prior))))
    return graph.add("Sigmoid", margin)
