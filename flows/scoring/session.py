"""ONNX Runtime sessions, all with the same options."""

import os
from typing import Any


def open_session(onnx_bytes: bytes) -> Any:
    """Return an ``onnxruntime.InferenceSession`` on one thread of the CPU.

    Raises
    ------
    Exception
        The runtime cannot load the graph; its errors have no other common base.
    """
    # The runtime reports its use to its maker, and complains where it cannot keep an identifier.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Here, not above: it takes a tenth of a second, and who reads manifests does not need it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One row takes microseconds: a second thread costs more to wake than it saves, and spinning
    # would steal the core from the flow.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # it raises; its own lines on stderr would only repeat that
    return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
