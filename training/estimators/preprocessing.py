"""Turn contract features into model inputs, the same in scikit-learn and in ONNX.

An *input column* is one column that a model sees. Everything is computed in float32 by the same few
operations on both sides: undefined values are filled with the training median, then logs, ratios
and scaling are applied. Logs and ratios matter because levels differ between symbols and venues by
a factor of ten and more, while their logarithms are nearly normal.

A volatility over a window that is longer than what is known of the symbol is a sum over less time.
In logs and ratios it counts for the whole window: otherwise every symbol would look excited in the
first hour after a restart.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from onnx import TensorProto
from sklearn.base import BaseEstimator, TransformerMixin

from flows.errors import TrainingError
from flows.numeric.arrays import Float32
from training.estimators.graph import GraphBuilder

CLIP = 8.0
KINDS = ("raw", "abs", "table", "log")
HISTORY = "history_s"
_TINY = 1e-30
# A logarithm that hardly moves is rounding: dividing by its deviation would blow that up.
_LOG_DEVIATION = 0.05
_SUM_OVER_WINDOW = re.compile(r"(?:grid|realized)_vol_(\d+)")

Weights = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One model input.

    Attributes
    ----------
    name
        Shown in reports.
    kind
        ``raw``: the feature itself. ``abs``: its absolute value. ``log``:
        ``log sqrt(sum w x^2) - log sqrt(sum v x^2)`` over ``top`` and ``bottom``; without
        ``bottom`` only the first. ``table``: a table's value at a position in [0, 1].
    top, bottom
        Contract features with weights; one with weight 1 for a plain log.
    table
        Values at equally spaced positions from 0 on; between two of them the straight line, and
        the last one is followed by the first.
    """

    name: str
    kind: Literal["raw", "abs", "table", "log"]
    top: Weights
    bottom: Weights = ()
    table: tuple[float, ...] = ()

    @property
    def features(self) -> set[str]:
        """Contract features that the column is made of."""
        return {name for name, _ in self.top + self.bottom}

    @property
    def columns(self) -> set[str]:
        """Input columns that it takes: its features, and for sums how far back they go."""
        grows = self.kind == "log" and any(map(_window_s, self.features))
        return self.features | {HISTORY} if grows else self.features


def raw(feature: str) -> InputColumn:
    """Take a feature as it is."""
    return InputColumn(feature, "raw", ((feature, 1.0),))


def absolute(feature: str) -> InputColumn:
    """Take a feature's absolute value."""
    return InputColumn(f"abs {feature}", "abs", ((feature, 1.0),))


def log(feature: str) -> InputColumn:
    """Take the logarithm of a feature's absolute value."""
    return InputColumn(f"log {feature}", "log", ((feature, 1.0),))


def log_ratio(feature: str, over: str, scale: float = 1.0) -> InputColumn:
    """Take ``log(scale |feature| / over)``."""
    return InputColumn(f"log {feature} / {over}", "log", ((feature, scale**2),), ((over, 1.0),))


def soft_log(
    feature: str, window_s: float, over: str, over_s: float, softness: float
) -> InputColumn:
    """Take ``log sqrt(x^2 / window + softness * o^2 / over window)``, relative to ``o``.

    A volatility over a short window is often zero or nearly so, and the logarithm of nearly zero
    is a large number without information. Adding a share of the long window's variance bounds it.
    """
    top = ((feature, over_s / window_s), (over, softness))
    return InputColumn(f"log {feature} / {over}, soft", "log", top, ((over, 1.0),))


def table(feature: str, values: Sequence[float]) -> InputColumn:
    """Take a table's value at a position in [0, 1]."""
    return InputColumn(f"table {feature}", "table", ((feature, 1.0),), table=tuple(values))


class Preprocessor(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """Impute, transform and scale; float32 in, float32 out.

    Parameters
    ----------
    inputs
        What to compute.
    columns
        Names of the input's columns.
    scale
        Standardise and clip at ``CLIP`` deviations; trees need neither.
    """

    def __init__(
        self, inputs: Sequence[InputColumn], columns: Sequence[str], scale: bool = True
    ) -> None:
        self.inputs = inputs
        self.columns = columns
        self.scale = scale

    def fit(self, X: Float32, y: object = None) -> Self:  # noqa: N803, ARG002
        """Learn fills, floors, centres and scales from training rows, shape (n, columns)."""
        with np.errstate(all="ignore"):
            if np.isinf(X).any():
                bad = [self.columns[int(k)] for k in np.flatnonzero(np.isinf(X).any(axis=0))]
                msg = f"infinite values in the features {', '.join(bad)}"
                raise TrainingError(msg)
        undefined = np.isnan(X).all(axis=0)
        if undefined.any():
            bad = [self.columns[int(k)] for k in np.flatnonzero(undefined)]
            msg = f"no defined value in the features {', '.join(bad)}; leave them out"
            raise TrainingError(msg)
        self.fill_ = np.nanmedian(X, axis=0).astype(np.float32)
        at = {name: position for position, name in enumerate(self.columns)}
        self.order_ = sorted(
            range(len(self.inputs)), key=lambda k: KINDS.index(self.inputs[k].kind)
        )
        ordered = [self.inputs[k] for k in self.order_]
        self.raw_ = np.array([at[t.top[0][0]] for t in ordered if t.kind == "raw"], np.int64)
        self.abs_ = np.array([at[t.top[0][0]] for t in ordered if t.kind == "abs"], np.int64)
        self.tables_ = [(at[t.top[0][0]], _around(t.table)) for t in ordered if t.kind == "table"]
        logs = [t for t in ordered if t.kind == "log"]
        self.windows_ = np.array([_window_s(name) for name in self.columns], np.float32)
        self.history_ = at.get(HISTORY)
        self.top_ = _weights([t.top for t in logs], at)
        self.bottom_ = _weights([t.bottom for t in logs], at)
        self.one_ = np.array([0.0 if t.bottom else 1.0 for t in logs], np.float32)
        self.floor_ = _floor(self._ratios(self._filled(X)))
        plain = self._plain(X)
        width = plain.shape[1]
        self.mean_ = np.zeros(width, np.float32)
        self.inverse_ = np.ones(width, np.float32)
        if self.scale:
            wide = plain.astype(np.float64)
            deviation = wide.std(axis=0)
            first_log = width - len(logs)
            deviation[first_log:] = np.maximum(deviation[first_log:], _LOG_DEVIATION)
            self.mean_ = wide.mean(axis=0).astype(np.float32)
            usable = deviation > 1e-9 * (1 + np.abs(self.mean_))
            self.inverse_ = np.where(usable, 1 / np.where(usable, deviation, 1), 0).astype(
                np.float32
            )
        return self

    @property
    def names(self) -> list[str]:
        """Names of the output columns."""
        return [self.inputs[k].name for k in self.order_]

    def _filled(self, X: Float32) -> Float32:  # noqa: N803
        values = np.asarray(X, np.float32)
        return np.where(np.isnan(values), self.fill_, values)

    def _plain(self, X: Float32) -> Float32:  # noqa: N803
        filled = self._filled(X)
        parts = [filled[:, self.raw_], np.abs(filled[:, self.abs_])]
        for column, known in self.tables_:
            place = filled[:, [column]] * np.float32(len(known) - 2)
            below = np.floor(place)
            low = known[below.astype(np.int64)]
            high = known[below.astype(np.int64) + 1]
            parts.append(low + (place - below) * (high - low))
        if len(self.one_):
            logs = np.log(np.maximum(self._ratios(filled), self.floor_))
            parts.append(np.float32(0.5) * logs)
        return np.concatenate(parts, axis=1)

    def _ratios(self, filled: Float32) -> Float32:
        square = np.square(filled) * self._growth(filled)
        # BLAS may raise the flag for padding that it multiplies along; the rows are finite.
        with np.errstate(invalid="ignore"):
            top, bottom = square @ self.top_, square @ self.bottom_
        bottom = np.maximum(bottom + self.one_, np.float32(_TINY))
        return np.asarray(top / bottom, np.float32)

    def _growth(self, filled: Float32) -> Float32:
        """Return what squares grow by where history is shorter than the window, at least 1."""
        if self.history_ is None:
            return np.ones((1, 1), np.float32)
        history = np.maximum(filled[:, [self.history_]], np.float32(1))
        return np.maximum(np.float32(1), self.windows_ / history)

    def transform(self, X: Float32) -> Float32:  # noqa: N803
        """Return float32, shape (n, len(inputs))."""
        plain = self._plain(X)
        if not self.scale:
            return plain
        scaled = (plain - self.mean_) * self.inverse_
        return np.asarray(np.clip(scaled, -CLIP, CLIP), np.float32)

    def to_graph(self, graph: GraphBuilder, source: str) -> str:
        """Add the same operations to an ONNX graph."""
        fill = graph.constant(self.fill_[None, :])
        filled = graph.add("Where", graph.add("IsNaN", source), fill, source)
        parts: list[str] = []
        if len(self.raw_):
            parts.append(graph.columns(filled, self.raw_))
        if len(self.abs_):
            parts.append(graph.add("Abs", graph.columns(filled, self.abs_)))
        parts += [
            self._table_to_graph(graph, graph.columns(filled, [column]), known)
            for column, known in self.tables_
        ]
        if len(self.one_):
            parts.append(self._logs_to_graph(graph, filled))
        plain = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)
        if not self.scale:
            return plain
        centred = graph.add("Sub", plain, graph.constant(self.mean_))
        scaled = graph.add("Mul", centred, graph.constant(self.inverse_))
        return graph.add("Clip", scaled, graph.constant(-CLIP), graph.constant(CLIP))

    def _table_to_graph(self, graph: GraphBuilder, position: str, known: Float32) -> str:
        place = graph.add("Mul", position, graph.constant(len(known) - 2))
        below = graph.add("Floor", place)
        index = graph.add("Cast", below, to=TensorProto.INT64)
        values = graph.constant(known)
        low = graph.add("Gather", values, index)
        next_index = graph.add("Add", index, graph.constant(1, np.int64))
        step = graph.add("Sub", graph.add("Gather", values, next_index), low)
        rest = graph.add("Sub", place, below)
        return graph.add("Add", low, graph.add("Mul", rest, step))

    def _logs_to_graph(self, graph: GraphBuilder, filled: str) -> str:
        square = graph.add("Mul", filled, filled)
        if self.history_ is not None:
            history = graph.columns(filled, [self.history_])
            history = graph.add("Max", history, graph.constant(1.0))
            growth = graph.add("Div", graph.constant(self.windows_[None, :]), history)
            growth = graph.add("Max", growth, graph.constant(1.0))
            square = graph.add("Mul", square, growth)
        ratio = graph.add("MatMul", square, graph.constant(self.top_))
        if not (self.one_ == 1).all():
            bottom = graph.add("MatMul", square, graph.constant(self.bottom_))
            bottom = graph.add("Add", bottom, graph.constant(self.one_))
            bottom = graph.add("Max", bottom, graph.constant(_TINY))
            ratio = graph.add("Div", ratio, bottom)
        floored = graph.add("Max", ratio, graph.constant(self.floor_))
        return graph.add("Mul", graph.add("Log", floored), graph.constant(0.5))


def _window_s(feature: str) -> float:
    """Return the window of a feature that is a sum over it, seconds; 0 for any other."""
    found = _SUM_OVER_WINDOW.fullmatch(feature)
    return float(found.group(1)) if found else 0.0


def _around(values: Sequence[float]) -> Float32:
    """Return a table that goes on beyond its end: a position of exactly 1 has a right neighbour."""
    return np.array([*values, values[0], values[1]], np.float32)


def _weights(inputs: list[Weights], at: dict[str, int]) -> Float32:
    matrix = np.zeros((len(at), len(inputs)), np.float32)
    for column, weights in enumerate(inputs):
        for name, weight in weights:
            matrix[at[name], column] += weight
    return matrix


def _floor(ratios: Float32) -> Float32:
    """Return a quarter of the smallest usual positive value, so that a zero has a finite log.

    It is taken of the ratio, not of its parts: a floor in absolute units would cut off symbols
    that are calmer than those of the training data.
    """
    floors = np.full(ratios.shape[1], _TINY, np.float32)
    for column in range(ratios.shape[1]):
        positive = ratios[:, column][ratios[:, column] > 0]
        if len(positive):
            floors[column] = max(_TINY, 0.25 * float(np.quantile(positive, 0.01)))
    return floors
