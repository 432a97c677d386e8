"""How long a tick takes from stage to stage, as histograms."""

from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from flows.codec.outputs import OutputBatch
from flows.numeric.time import NS_PER_MS, NS_PER_S

BUCKETS_S: Final = (
    *(0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 5, 60),
)
"""The limits of the objectives, 0.1 s and 0.25 s, are among them: a ratio at a limit is exact."""

RECEIVED: Final = "event_to_received"
LOGGED: Final = "received_to_kafka"
SCORED: Final = "kafka_to_scored"
COMMITTED: Final = "scored_to_committed"
SHOWN: Final = "committed_to_redis"
STAGES: Final = (RECEIVED, LOGGED, SCORED, COMMITTED, SHOWN)


class StageLatency:
    """``voltick_stage_seconds``: the way of the oldest tick of each batch, by its stages.

    Clocks of venue, ingest, broker and pipeline measure it: a stage that would be negative is 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "voltick_stage_seconds",
            "Time that the oldest tick of a batch took for a stage of its way: "
            + ", ".join(STAGES)
            + "; the last one is that of the oldest score in each write to Redis.",
            ("stage",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        for stage in STAGES:
            self._seconds.labels(stage)  # there before the first tick is

    def observe_commit(self, batch: OutputBatch, committed_ns: int) -> None:
        """Add a batch that was committed at this time, nanoseconds since the UNIX epoch.

        A stage of which one end is not known is left out.
        """
        logged_ns = None if batch.oldest_ms is None else batch.oldest_ms * NS_PER_MS
        times = (batch.first_event_ns, batch.first_received_ns, logged_ns, batch.scored_ns)
        ends = (*times[1:], committed_ns)
        for stage, begin_ns, end_ns in zip(STAGES[:-1], times, ends, strict=True):
            if begin_ns is not None and end_ns is not None:
                self._observe(stage, (end_ns - begin_ns) / NS_PER_S)

    def observe_redis(self, seconds: float) -> None:
        """Add a write to Redis, by how long ago its oldest score was committed."""
        self._observe(SHOWN, seconds)

    def _observe(self, stage: str, seconds: float) -> None:
        self._seconds.labels(stage).observe(max(seconds, 0.0))
