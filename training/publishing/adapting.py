"""Graphs as exporters make them, turned into ones whose first and only output is the score.

Exporters of classifiers give a label and a table of probabilities, often behind a ``ZipMap``; some
of double precision. Which of it is the score, its user says; nothing here guesses.
"""

from typing import TYPE_CHECKING, Any, Final

from flows.errors import ModelRejectedError

if TYPE_CHECKING:
    import onnx

SCORE: Final = "voltick_score"
FEATURES: Final = "voltick_features"
_ADDED_OPSET: Final = 11
"""Of the operators that are added, where a graph has none of ONNX's own."""


def with_the_score(onnx_bytes: bytes, output: str, column: int | None) -> bytes:
    """Return a graph whose only output is one of another's, float32, shape (n, 1) or (n,).

    An input of double precision becomes one of float32.

    Parameters
    ----------
    onnx_bytes
        A valid graph.
    output
        Name of the output with the score; behind a ``ZipMap`` its input is meant.
    column
        Which of its columns the score is, at least 0; None for all of it.

    Raises
    ------
    ModelRejectedError
        It has no such output, the output is no table of numbers, or has no such column.
    """
    import onnx
    from onnx import helper

    model = onnx.load_model_from_string(onnx_bytes)
    graph = model.graph
    known = [each.name for each in graph.output]
    if output not in known:
        message = f"the graph has no output {output!r}; it has {', '.join(known) or 'none'}"
        raise ModelRejectedError(message)
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    if {SCORE, FEATURES} & taken:
        message = f"the graph uses the name {SCORE} or {FEATURES} itself"
        raise ModelRejectedError(message)
    source = _behind_zipmap(graph, output)
    _check_is_table(onnx_bytes, graph, output, source, column)
    if column is not None:
        place = helper.make_tensor(f"{SCORE}_column", onnx.TensorProto.INT64, [1], [column])
        graph.initializer.append(place)
        chosen = f"{SCORE}_chosen"
        graph.node.append(helper.make_node("Gather", [source, place.name], [chosen], axis=1))
        source = chosen
    graph.node.append(helper.make_node("Cast", [source], [SCORE], to=onnx.TensorProto.FLOAT))
    del graph.output[:]
    shape = [None, 1] if column is not None else None
    graph.output.append(helper.make_tensor_value_info(SCORE, onnx.TensorProto.FLOAT, shape))
    _take_float32(graph)
    if not any(entry.domain in {"", "ai.onnx"} for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", _ADDED_OPSET))
    adapted: bytes = model.SerializeToString(deterministic=True)
    return adapted


def check_score_first(onnx_bytes: bytes, name: str) -> None:
    """Refuse a graph of which it is not plain what its score is.

    Parameters
    ----------
    name
        Of its file, for the message.

    Raises
    ------
    ModelRejectedError
        Its first output is a label, or has several columns; the message names all outputs.
    """
    import onnx

    graph = onnx.load_model_from_string(onnx_bytes).graph
    if not graph.output:
        return
    first = graph.output[0].type
    dims = first.tensor_type.shape.dim
    is_number = first.tensor_type.elem_type == onnx.TensorProto.FLOAT
    if is_number and not (len(dims) == 2 and dims[1].dim_value > 1):
        return
    known = ", ".join(f"{each.name} ({_described(each.type)})" for each in graph.output)
    message = (
        f"{name}: its first output is no score of shape [None] or [None, 1]; say which is:"
        f" --output NAME, and --column N where that has several; its outputs: {known}"
    )
    raise ModelRejectedError(message)


def _behind_zipmap(graph: "onnx.GraphProto", output: str) -> str:
    for position, node in enumerate(graph.node):
        if output in node.output and node.op_type == "ZipMap":
            source = str(node.input[0])
            del graph.node[position]
            return source
    return output


def _check_is_table(
    onnx_bytes: bytes, graph: "onnx.GraphProto", output: str, source: str, column: int | None
) -> None:
    """Refuse an output that is known not to have the column; of others the proof finds it out."""
    import onnx

    found = [each.type for each in graph.output if each.name == source]
    if not found:  # it was behind a ZipMap: its shape is found, or remains to the proof
        inferred = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(onnx_bytes))
        found = [each.type for each in inferred.graph.value_info if each.name == source]
    if not found:
        return
    kind = found[0].tensor_type
    if kind.elem_type not in {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}:
        message = f"the output {output!r} is {_described(found[0])}, no table of scores"
        raise ModelRejectedError(message)
    dims = kind.shape.dim
    if column is None or not kind.HasField("shape"):
        return
    if len(dims) != 2 or (dims[1].HasField("dim_value") and not 0 <= column < dims[1].dim_value):
        message = f"the output {output!r} is {_described(found[0])}: it has no column {column}"
        raise ModelRejectedError(message)


def _take_float32(graph: "onnx.GraphProto") -> None:
    import onnx
    from onnx import helper

    weights = {each.name for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.DOUBLE:
        return
    (given,) = inputs
    cast = helper.make_node("Cast", [FEATURES], [given.name], to=onnx.TensorProto.DOUBLE)
    graph.node.insert(0, cast)
    given.name = FEATURES
    given.type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _described(kind: Any) -> str:
    """Return an output's type and shape, in words of ONNX Runtime."""
    import onnx

    if not kind.HasField("tensor_type"):
        return str(kind.WhichOneof("value") or "of no type").removesuffix("_type")
    name: str = onnx.TensorProto.DataType.Name(kind.tensor_type.elem_type).lower()
    if not kind.tensor_type.HasField("shape"):
        return name
    dims = [
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "None"
        for dim in kind.tensor_type.shape.dim
    ]
    return f"{name} [{', '.join(dims)}]"
