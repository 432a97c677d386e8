"""The linear form of a graph: which inputs add up to its score, and how much each of them adds.

A linear model's graph ends in a weighted sum of columns that its preprocessing made of features,
for a classifier inside a sigmoid. The sum is read from the graph itself, so it is that of the model
that serves, whoever exported it. Trees and networks have no such form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flows.numeric.arrays import Float32, Float64
from flows.scoring.onnx_model import probe_rows
from flows.scoring.session import open_session

if TYPE_CHECKING:
    import onnx

# What makes columns out of features, each column by itself.
_PREPROCESSING = frozenset(
    {"Abs", "Add", "Cast", "Clip", "Concat", "Div", "Floor", "Gather", "Identity", "IsNaN"}
    | {"Log", "MatMul", "Max", "Min", "Mul", "Sqrt", "Sub", "Where"}
)


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the sum: the features that it is made of, and what it adds.

    Attributes
    ----------
    amount
        Relative to a row in which every feature is undefined, for which the graph puts the usual
        value of its training: in log odds, or in the target's unit.
    """

    features: tuple[str, ...]
    amount: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row's score as a sum.

    ``base`` and all amounts come to the log odds of ``score`` where ``link`` is ``logit``, else to
    the score itself.
    """

    link: Literal["logit", "identity"]
    base: float
    terms: list[Term]
    score: float


class LinearForm:
    """The weighted sum at the end of a graph.

    Parameters
    ----------
    features
        Names of the graph's input columns.
    """

    def __init__(
        self,
        session: Any,
        features: Sequence[str],
        parts: Sequence[tuple[str, Float64]],
        intercept: float,
        link: Literal["logit", "identity"],
    ) -> None:
        self._session = session
        self._features = tuple(features)
        self._weights = np.concatenate([weights for _name, weights in parts])
        self._outputs = [name for name, _weights in parts]
        self._intercept = intercept
        self._link = link
        self._made_of = self._columns()

    def explain(self, row: Float32) -> Explanation:
        """Return a row's score as a sum; float32, shape (features,), undefined is NaN."""
        both = np.stack([row, np.full_like(row, np.nan)])
        columns, scores = self._run(both)
        added = (columns[0] - columns[1]) * self._weights
        by_features: dict[tuple[str, ...], float] = {}
        for features, amount in zip(self._made_of, added.tolist(), strict=True):
            by_features[features] = by_features.get(features, 0.0) + amount
        return Explanation(
            self._link,
            self._intercept + float(columns[1] @ self._weights),
            [Term(features, amount) for features, amount in by_features.items() if features],
            float(scores[0]),
        )

    def _run(self, rows: Float32) -> tuple[Float64, Float64]:
        name = self._session.get_inputs()[0].name
        score = self._session.get_outputs()[0].name
        made = self._session.run([score, *self._outputs], {name: np.ascontiguousarray(rows)})
        parts = [each.reshape(len(rows), -1).astype(np.float64) for each in made]
        return np.concatenate(parts[1:], axis=1), parts[0][:, 0]

    def _columns(self) -> list[tuple[str, ...]]:
        """Find by trial which features each column is made of, its own before shared ones."""
        probes = probe_rows(self._features)[1:5]
        usual, _scores = self._run(probes)
        depends = np.zeros((len(self._features), usual.shape[1]), bool)
        for position in range(len(self._features)):
            changed = probes.copy()
            changed[:, position] = np.where(np.isnan(probes[:, position]), 0.5, np.nan)
            depends[position] = (self._run(changed)[0] != usual).any(axis=0)
        shared = depends.sum(axis=1)
        return [
            tuple(
                self._features[position]
                for position in sorted(np.flatnonzero(column), key=lambda at: (shared[at], at))
            )
            for column in depends.T
        ]


def linear_form(onnx_bytes: bytes, features: Sequence[str]) -> LinearForm | None:
    """Return the weighted sum that a graph ends in; None where it ends otherwise."""
    # Here, not above: onnx takes a sixth of a second to import, and few processes need it.
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(onnx_bytes)
    walk = _Walk(model.graph)
    name = walk.behind_identity(model.graph.output[0].name)
    node = walk.producers.get(name)
    link: Literal["logit", "identity"] = "identity"
    if node is not None and node.op_type == "Sigmoid":
        link, name = "logit", node.input[0]
    if not walk.add(name, 1.0) or not walk.parts:
        return None
    for part, _weights in walk.parts:
        model.graph.output.append(helper.make_tensor_value_info(part, TensorProto.FLOAT, None))
    session = open_session(model.SerializeToString())
    return LinearForm(session, features, walk.parts, walk.intercept, link)


class _Walk:
    """Goes from a graph's end to the columns that it sums."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        from onnx import numpy_helper

        self.producers = {name: node for node in graph.node for name in node.output}
        self.parts: list[tuple[str, Float64]] = []
        self.intercept = 0.0
        self._inputs = {each.name for each in graph.input}
        self._constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}

    def behind_identity(self, name: str) -> str:
        """Return what a chain of identities passes on."""
        while name in self.producers and self.producers[name].op_type == "Identity":
            name = self.producers[name].input[0]
        return name

    def add(self, name: str, factor: float) -> bool:
        """Take ``factor`` times a tensor into the sum; False where it is no sum of columns."""
        name = self.behind_identity(name)
        node = self.producers.get(name)
        if node is None:
            return False
        inputs = list(node.input)
        left, right = inputs[0], inputs[1] if len(inputs) > 1 else ""
        if node.op_type == "Add":
            for constant, other in ((left, right), (right, left)):
                if constant in self._constants and self._constants[constant].size == 1:
                    self.intercept += factor * float(self._constants[constant].reshape(-1)[0])
                    return self.add(other, factor)
            return self.add(left, factor) and self.add(right, factor)
        if node.op_type == "Mul":
            for constant, other in ((left, right), (right, left)):
                if constant in self._constants and self._constants[constant].size == 1:
                    return self.add(other, factor * float(self._constants[constant].reshape(-1)[0]))
        if node.op_type == "MatMul" and right in self._constants:
            weights = self._constants[right]
            if weights.ndim != 2 or weights.shape[1] != 1 or not self._is_column(left):
                return False
            self.parts.append((left, factor * weights[:, 0].astype(np.float64)))
            return True
        if not self._is_column(name):
            return False
        self.parts.append((name, np.array([factor])))
        return True

    def _is_column(self, name: str) -> bool:
        """Tell whether a tensor comes from the features by preprocessing alone."""
        waiting, seen = [name], set()
        while waiting:
            found = waiting.pop()
            if found in seen or not found or found in self._inputs or found in self._constants:
                continue
            seen.add(found)
            node = self.producers.get(found)
            if node is None or node.op_type not in _PREPROCESSING:
                return False
            waiting.extend(node.input)
        return True
