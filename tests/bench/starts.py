"""What one start of the flow took, from its log and the moment of its first prediction."""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from flows.numeric.time import NS_PER_S
from tests.bench.staged import stages

_READY = re.compile(r'^.*"event": ?"pipeline ready".*$', re.MULTILINE)


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes
    ----------
    first_s
        From the start of the process to the first prediction in a reader's hand, seconds.
    after_ready_s
        The same from when the flow said that it is ready.
    rebuilt
        How many ticks it had to read before the first that was new.
    stages
        Seconds by part of the start, where these were told.
    """

    first_s: float
    after_ready_s: float
    rebuilt: int
    stages: dict[str, float]

    @property
    def rebuilt_per_s(self) -> float:
        """Ticks per second from ready to the first prediction.

        Nothing is taken off for what any start takes there: the sink takes its partition over
        while the source reads.
        """
        return self.rebuilt / self.after_ready_s


def start_of(
    stderr: str, started_at_s: float, first_ns: int, wall_minus_monotonic_ns: int
) -> Start:
    """Read a run's log.

    Parameters
    ----------
    stderr
        With the log's events as JSON.
    started_at_s, first_ns
        Monotonic times of the process's start (seconds) and its first prediction (nanoseconds).

    Raises
    ------
    ValueError
        The flow did not say that it was ready.
    """
    found = _READY.search(stderr)
    if found is None:
        message = f"the flow did not say that it was ready:\n{stderr[-2000:]}"
        raise ValueError(message)
    told = json.loads(found[0])
    ready_wall_s = datetime.fromisoformat(told["timestamp"]).timestamp()
    ready_s = ready_wall_s - wall_minus_monotonic_ns / NS_PER_S
    first_s = first_ns / NS_PER_S
    return Start(
        first_s - started_at_s, first_s - ready_s, told["rebuild"], stages(stderr, started_at_s)
    )
