"""The pipeline with a wall clock an hour off: ``python -m bytewax.run tests.proof.wrong_clock``.

The product knows nothing of this: Python's clock is exchanged before it is imported.
"""

import time
from typing import Any

OFF_S = 3600


def flow() -> Any:
    """Turn the clock, then return the pipeline's dataflow."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + OFF_S
    time.time_ns = lambda: right_ns() + OFF_S * 10**9
    from flows import pipeline

    return pipeline.flow()
