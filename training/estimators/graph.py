"""Build one ONNX graph out of hand-written nodes and converted estimators."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

OPSET = 17
ML_OPSET = 3
IR_VERSION = 8
INPUT = "features"
OUTPUT = "score"


class GraphBuilder:
    """Nodes and constants on their way to a model with input ``features``, output ``score``."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._count = 0

    def _name(self, hint: str) -> str:
        self._count += 1
        return f"{hint.lower()}_{self._count}"

    def constant(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant tensor and return its name."""
        name = self._name("const")
        self._constants.append(numpy_helper.from_array(np.asarray(array, dtype=dtype), name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = self._name(operator)
        node = helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def columns(self, source: str, positions: npt.ArrayLike) -> str:
        """Pick columns of a matrix by number."""
        return self.add("Gather", source, self.constant(positions, np.int64), axis=1)

    def inline(self, model: onnx.ModelProto, source: str) -> list[str]:
        """Put a whole one-input model into this graph and return its outputs' names."""
        self._count += 1
        prefixed = compose.add_prefix(model, f"sub{self._count}_")
        entry = prefixed.graph.input[0].name
        for node in prefixed.graph.node:
            for position, name in enumerate(node.input):
                if name == entry:
                    node.input[position] = source
        self._nodes.extend(prefixed.graph.node)
        self._constants.extend(prefixed.graph.initializer)
        return [output.name for output in prefixed.graph.output]

    def build(self, output: str, width: int, metadata: Mapping[str, str] | None = None) -> bytes:
        """Close the graph and return its checked bytes.

        Parameters
        ----------
        output
            Name of a float32 tensor of shape (n, 1): the score.
        width
            Number of input columns.
        """
        self._nodes.append(helper.make_node("Identity", [output], [OUTPUT]))
        graph = helper.make_graph(
            self._nodes,
            "voltick",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
            self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="voltick",
            ir_version=IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid("ai.onnx.ml", ML_OPSET),
            ],
        )
        helper.set_model_props(model, dict(metadata or {}))
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
