"""XGBoost as an extra: installed or not, the rest of training works."""

import json
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from flows.errors import TrainingError, needs_extra
from flows.numeric.arrays import Float32, Float64
from training.estimators.graph import GraphBuilder
from training.estimators.trees import xgboost_to_graph


class XGBoostClassifier(BaseEstimator):  # type: ignore[misc]
    """Boosted trees of the ``xgboost`` package, shallow and strongly regularised."""

    def __init__(self, trees: int = 100, depth: int = 3, rate: float = 0.05, seed: int = 0) -> None:
        self.trees = trees
        self.depth = depth
        self.rate = rate
        self.seed = seed

    def fit(self, X: Float32, y: Any) -> Self:  # noqa: N803
        """Fit on float32 rows.

        Raises
        ------
        TrainingError
            If the package is not installed.
        """
        try:
            import xgboost
        except ImportError as error:
            raise TrainingError(needs_extra("the variant xgb", "xgboost")) from error
        parameters = {
            "objective": "binary:logistic",
            "max_depth": self.depth,
            "eta": self.rate,
            "min_child_weight": 20,
            "lambda": 10.0,
            "subsample": 0.7,
            "colsample_bytree": 0.7,
            "seed": self.seed,
            "nthread": 1,
        }
        data = xgboost.DMatrix(np.asarray(X, np.float32), label=np.asarray(y, np.float32))
        self.booster_ = xgboost.train(parameters, data, num_boost_round=self.trees)
        return self

    def predict_proba(self, X: Float32) -> Float64:  # noqa: N803
        """Return float64, shape (n, 2)."""
        import xgboost

        score = self.booster_.predict(xgboost.DMatrix(np.asarray(X, np.float32)))
        return np.stack([1.0 - score, score], axis=1).astype(np.float64)

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add the trees and their sigmoid to an ONNX graph."""
        config = json.loads(self.booster_.save_config())
        base = float(str(config["learner"]["learner_model_param"]["base_score"]).strip("[]"))
        dumps = [json.loads(dump) for dump in self.booster_.get_dump(dump_format="json")]
        return xgboost_to_graph(dumps, base, graph, source)
