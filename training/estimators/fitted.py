"""Models: a preprocessor, a scikit-learn estimator, and the ONNX graph equal to both."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor

from flows.numeric.arrays import Float32, Float64
from training.estimators.graph import ML_OPSET, OPSET, GraphBuilder
from training.estimators.preprocessing import Preprocessor
from training.estimators.trees import histogram_boosting_to_graph

_EDGE = 1e-6
Matrix = npt.NDArray[Any]


def logit(probability: Float64) -> Float64:
    """Return log odds, clipped to about +-14."""
    inside = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)


def sigmoid(value: Float64) -> Float64:
    """Return ``1 / (1 + exp(-value))``."""
    return np.asarray(1.0 / (1.0 + np.exp(-value)), np.float64)


def score_of(estimator: Any, X: Float32) -> Float64:  # noqa: N803
    """Return the probability of class 1, or the forecast; float64, shape (n,)."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X)[:, 1], np.float64)
    return np.asarray(estimator.predict(X), np.float64).reshape(-1)


class Model(BaseEstimator):  # type: ignore[misc]
    """A preprocessor followed by an estimator, with sigmoid calibration where asked for.

    Parameters
    ----------
    preprocessor
        What the estimator sees.
    estimator
        Any scikit-learn classifier or regressor that :func:`estimator_to_graph` can convert.
    calibrate
        Fit Platt's sigmoid on the newest fifth of the training rows with an estimator fitted on
        the older ones (rows must come in time order).
    """

    def __init__(self, preprocessor: Preprocessor, estimator: Any, calibrate: bool = False) -> None:
        self.preprocessor = preprocessor
        self.estimator = estimator
        self.calibrate = calibrate

    def fit(self, X: Float32, y: Matrix) -> Self:  # noqa: N803
        """Fit on rows in time order."""
        inputs = self.preprocessor.fit(X).transform(X)
        self.slope_, self.offset_ = 1.0, 0.0
        if self.calibrate:
            cut = int(0.8 * len(y))
            if 0 < y[:cut].sum() < cut and 0 < y[cut:].sum() < len(y) - cut:
                self.estimator.fit(inputs[:cut], y[:cut])
                held = logit(score_of(self.estimator, inputs[cut:]))
                platt = LogisticRegression(C=1e6).fit(held[:, None], y[cut:])
                if platt.coef_[0, 0] > 0:
                    self.slope_ = float(platt.coef_[0, 0])
                    self.offset_ = float(platt.intercept_[0])
        self.estimator.fit(inputs, y)
        return self

    def score(self, X: Float32) -> Float64:  # noqa: N803
        """Return float64 scores, shape (n,), of raw contract features, NaN where undefined."""
        plain = score_of(self.estimator, self.preprocessor.transform(X))
        if not self._calibrated:
            return plain
        return sigmoid(self.slope_ * logit(plain) + self.offset_)

    @property
    def _calibrated(self) -> bool:
        return (self.slope_, self.offset_) != (1.0, 0.0)

    def odds(self, X: Float32) -> Float64:  # noqa: N803
        """Return log odds, float64, shape (n,), exact where the estimator is linear in them."""
        if isinstance(self.estimator, LINEAR_IN_ODDS) and not self._calibrated:
            inputs = self.preprocessor.transform(X)
            return np.asarray(self.estimator.decision_function(inputs), np.float64)
        return logit(self.score(X))

    def odds_to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add the model's log odds to an ONNX graph."""
        if isinstance(self.estimator, LINEAR_IN_ODDS) and not self._calibrated:
            inputs = self.preprocessor.to_graph(graph, source)
            return linear_to_graph(self.estimator, graph, inputs, len(self.preprocessor.names))
        return logit_to_graph(graph, self.to_graph(graph, source))

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add the whole model to an ONNX graph."""
        inputs = self.preprocessor.to_graph(graph, source)
        plain = estimator_to_graph(self.estimator, graph, inputs, len(self.preprocessor.names))
        if not self._calibrated:
            return plain
        odds = logit_to_graph(graph, plain)
        moved = graph.add("Mul", odds, graph.constant(self.slope_))
        moved = graph.add("Add", moved, graph.constant(self.offset_))
        return graph.add("Sigmoid", moved)


class Blend(BaseEstimator):  # type: ignore[misc]
    """The mean of several models' log odds (classifiers) or scores (forecasts)."""

    def __init__(
        self, members: Sequence[Model], weights: Sequence[float], classifier: bool = True
    ) -> None:
        self.members = members
        self.weights = weights
        self.classifier = classifier

    def fit(self, X: Float32, y: Matrix) -> Self:  # noqa: N803
        """Fit every member on all rows."""
        for member in self.members:
            member.fit(X, y)
        return self

    def score(self, X: Float32) -> Float64:  # noqa: N803
        """Return float64 scores, shape (n,)."""
        total = np.zeros(len(X))
        for member, weight in zip(self.members, self.weights, strict=True):
            total += weight * (member.odds(X) if self.classifier else member.score(X))
        return sigmoid(total) if self.classifier else total

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add all members to an ONNX graph."""
        total: str | None = None
        for member, weight in zip(self.members, self.weights, strict=True):
            write = member.odds_to_graph if self.classifier else member.to_graph
            score = write(graph, source)
            part = graph.add("Mul", score, graph.constant(weight))
            total = part if total is None else graph.add("Add", total, part)
        assert total is not None  # noqa: S101  # a blend has members
        return graph.add("Sigmoid", total) if self.classifier else total


class FixedLinear(BaseEstimator):  # type: ignore[misc]
    """Log odds with given weights; only the base rate is learned.

    Parameters
    ----------
    weights
        One for each input column, for unscaled inputs.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = weights

    def fit(self, X: Float32, y: Matrix) -> Self:  # noqa: N803
        """Find the intercept at which the mean probability is the share of events."""
        slopes = self._slopes(X)
        low, high = -60.0 - float(slopes.max()), 60.0 - float(slopes.min())
        wanted = float(np.mean(y))
        for _ in range(60):
            middle = (low + high) / 2
            if float(sigmoid(slopes + middle).mean()) < wanted:
                low = middle
            else:
                high = middle
        self.intercept_ = np.array([(low + high) / 2])
        self.coef_ = np.asarray([self.weights], np.float64)
        return self

    def _slopes(self, X: Float32) -> Float64:  # noqa: N803
        return np.asarray(X, np.float64) @ np.asarray(self.weights, np.float64)

    def decision_function(self, X: Float32) -> Float64:  # noqa: N803
        """Return log odds, float64, shape (n,)."""
        return np.asarray(self._slopes(X) + self.intercept_, np.float64)

    def predict_proba(self, X: Float32) -> Float64:  # noqa: N803
        """Return float64, shape (n, 2)."""
        score = sigmoid(self.decision_function(X))
        return np.stack([1 - score, score], axis=1)


class Scaled(BaseEstimator):  # type: ignore[misc]
    """A regressor of a target divided by its training deviation.

    One-minute returns are some 1e-4; losses and penalties are made for targets of order 1.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Float32, y: Matrix) -> Self:  # noqa: N803
        """Fit on the scaled target."""
        self.unit_ = float(np.std(y)) or 1.0
        self.estimator.fit(X, np.asarray(y, np.float64) / self.unit_)
        return self

    def predict(self, X: Float32) -> Float64:  # noqa: N803
        """Return forecasts in the target's unit, float64, shape (n,)."""
        return score_of(self.estimator, X) * self.unit_

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add the regressor and its unit."""
        width = int(self.estimator.n_features_in_)
        plain = estimator_to_graph(self.estimator, graph, source, width)
        return graph.add("Mul", plain, graph.constant(self.unit_))


class Constant(BaseEstimator):  # type: ignore[misc]
    """Always the same forecast: persistence of the price is a return of zero."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def fit(self, X: Float32, y: Matrix) -> Self:  # noqa: N803, ARG002
        """Learn nothing."""
        return self

    def predict(self, X: Float32) -> Float64:  # noqa: N803
        """Return the constant, float64, shape (n,)."""
        return np.full(len(X), self.value)

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add nodes that take only the number of rows from the (imputed) input."""
        first = graph.columns(source, [0])
        zero = graph.add("Sub", first, first)
        return graph.add("Add", zero, graph.constant(self.value))


LINEAR_IN_ODDS = (LogisticRegression, FixedLinear)


def linear_to_graph(estimator: Any, graph: GraphBuilder, source: str, width: int) -> str:
    """Add a linear model's weighted sum to a graph: float32, shape (n, 1)."""
    product = graph.add("MatMul", source, graph.constant(np.reshape(estimator.coef_, (width, 1))))
    return graph.add("Add", product, graph.constant(np.reshape(estimator.intercept_, (1, 1))))


def logit_to_graph(graph: GraphBuilder, probability: str) -> str:
    """Add nodes for :func:`logit`."""
    inside = graph.add("Clip", probability, graph.constant(_EDGE), graph.constant(1 - _EDGE))
    rest = graph.add("Sub", graph.constant(1.0), inside)
    return graph.add("Log", graph.add("Div", inside, rest))


def estimator_to_graph(estimator: Any, graph: GraphBuilder, source: str, width: int) -> str:
    """Add a fitted estimator's score to a graph: float32, shape (n, 1).

    Linear models and networks are a few matrix products, written out here; the classic trees go
    through skl2onnx, whose second output holds the probabilities (ZipMap off: it would turn
    them into a slow list of dictionaries).
    """
    if hasattr(estimator, "to_graph"):
        return str(estimator.to_graph(graph, source))
    if isinstance(estimator, LINEAR_IN_ODDS):
        return graph.add("Sigmoid", linear_to_graph(estimator, graph, source, width))
    if isinstance(estimator, Ridge):
        return linear_to_graph(estimator, graph, source, width)
    if isinstance(estimator, MLPRegressor | MLPClassifier) and estimator.activation == "relu":
        value = source
        last = len(estimator.coefs_) - 1
        for layer, (weights, bias) in enumerate(
            zip(estimator.coefs_, estimator.intercepts_, strict=True)
        ):
            value = graph.add("MatMul", value, graph.constant(weights))
            value = graph.add("Add", value, graph.constant(np.reshape(bias, (1, -1))))
            if layer < last:
                value = graph.add("Relu", value)
        return graph.add("Sigmoid", value) if isinstance(estimator, MLPClassifier) else value
    if isinstance(estimator, HistGradientBoostingClassifier):
        return histogram_boosting_to_graph(estimator, graph, source)
    classifier = hasattr(estimator, "predict_proba")
    converted = to_onnx(
        estimator,
        initial_types=[("inputs", FloatTensorType([None, width]))],
        options={id(estimator): {"zipmap": False}} if classifier else None,
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    outputs = graph.inline(converted, source)
    if classifier:
        return graph.columns(outputs[1], [1])
    return graph.add("Reshape", outputs[0], graph.constant([-1, 1], np.int64))
