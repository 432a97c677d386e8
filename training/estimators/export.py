"""Export a fitted model to ONNX and check that both give the same scores."""

from collections.abc import Mapping

import numpy as np

from flows.errors import TrainingError
from flows.numeric.arrays import Float32, Float64
from flows.scoring.session import open_session
from training.estimators.graph import GraphBuilder
from training.estimators.recipes import Fit

TOLERANCE = 1e-5
_CHUNK = 65_536


def to_bytes(model: Fit, width: int, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the model as ONNX: float32 (n, width) in, float32 (n, 1) out, imputation inside."""
    graph = GraphBuilder()
    return graph.build(model.to_graph(graph, "features"), width, metadata)


def score_onnx(onnx_bytes: bytes, values: Float32) -> Float64:
    """Score float32 rows, shape (n, width), by ONNX Runtime; float64, shape (n,)."""
    session = open_session(onnx_bytes)
    name = session.get_inputs()[0].name
    parts = [
        session.run(None, {name: np.ascontiguousarray(values[at : at + _CHUNK], np.float32)})[0]
        for at in range(0, len(values), _CHUNK)
    ]
    return np.concatenate(parts).reshape(-1).astype(np.float64)


def check_parity(name: str, model: Fit, onnx_bytes: bytes, values: Float32) -> float:
    """Return the largest difference between scikit-learn and ONNX over all rows.

    Raises
    ------
    TrainingError
        If it exceeds 1e-5 anywhere, or either side gives a non-finite score.
    """
    wanted = model.score(values)
    found = score_onnx(onnx_bytes, values)
    if not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        msg = f"{name} gives non-finite scores; not published"
        raise TrainingError(msg)
    difference = np.abs(wanted - found)
    worst = float(difference.max()) if len(difference) else 0.0
    if worst > TOLERANCE:
        msg = (
            f"{name}: ONNX and scikit-learn differ by {worst:.2e} (row {int(difference.argmax())}),"
            f" more than {TOLERANCE:.0e}; not published"
        )
        raise TrainingError(msg)
    return worst
