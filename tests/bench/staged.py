"""The pipeline, telling on stderr how long each part of its start takes.

``python -m bytewax.run tests.bench.staged`` writes a line ``STAGE {"name", "from_s", "to_s"}`` for
each, in seconds of the machine's monotonic clock. The product knows nothing of this: what it calls
is wrapped where it looks it up.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

MARK = "STAGE "

# By the module that looks them up: what is wrapped, and what its time is reported as.
CALLS: Mapping[str, Mapping[str, str]] = {
    "flows.runtime.exactly_once": {
        "ensure_topics": "broker",
        "plan_all": "broker",
        "calm_collector": "collector",
    },
    "flows.pipeline": {
        "message_limit": "broker",
        "ensure_baseline": "models",
        "Scorer": "models",
        "LatestWriter": "redis",
        "restore_latest": "redis",
    },
}
# The same of the writer's methods, which come after the start.
WRITES: Mapping[str, str] = {"take_over": "take_over", "commit": "first_commit"}
IMPORTS = "imports"


def flow() -> Any:
    """Wrap what is to be timed, then return the pipeline's dataflow."""
    begin = time.monotonic()
    from flows import pipeline
    from flows.connectors.kafka.transactions import TransactionalWriter

    _tell(IMPORTS, begin)
    for module_name, calls in CALLS.items():
        module = sys.modules[module_name]
        for name, stage in calls.items():
            setattr(module, name, _timed(getattr(module, name), stage))
    for name, stage in WRITES.items():
        setattr(TransactionalWriter, name, _timed(getattr(TransactionalWriter, name), stage))
    return pipeline.flow()


def stages(stderr: str, started_at_s: float) -> dict[str, float]:
    """Return seconds by stage of what a run wrote; ``interpreter`` is what came before all.

    A stage's later calls are added up, except that only the first commit counts.
    """
    found: dict[str, float] = {}
    for line in stderr.splitlines():
        if not line.startswith(MARK):
            continue
        told = json.loads(line.removeprefix(MARK))
        name, took = told["name"], told["to_s"] - told["from_s"]
        if name == IMPORTS:
            found["interpreter"] = told["from_s"] - started_at_s
        if name != "first_commit" or name not in found:
            found[name] = found.get(name, 0.0) + took
    return found


def _timed(call: Callable[..., Any], stage: str) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:
        begin = time.monotonic()
        try:
            return call(*args, **options)
        finally:
            _tell(stage, begin)

    return timed


def _tell(stage: str, begin_s: float) -> None:
    line = json.dumps({"name": stage, "from_s": begin_s, "to_s": time.monotonic()})
    sys.stderr.write(f"{MARK}{line}\n")
