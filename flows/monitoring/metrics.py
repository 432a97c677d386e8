"""The pipeline's Prometheus metrics, each described once, here."""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from flows.codec.outputs import Latest
from flows.monitoring.embedded import EmbeddedMemory
from flows.monitoring.freshness import SymbolFreshness
from flows.monitoring.latency import BUCKETS_S, StageLatency
from flows.monitoring.ownership import OwnershipGauges
from flows.monitoring.partitions import PartitionGauges
from flows.monitoring.redis_writes import RedisWrites
from flows.monitoring.served import ServedMetrics
from flows.monitoring.serving_info import ServingModelsInfo
from flows.monitoring.standby import StandbyOffsets

_COMMIT_BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_BATCH_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384)


class PipelineMetrics(ServedMetrics):
    """All metrics of one flow, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = self._counter("voltick_ticks", "Messages read from ticks.raw.")
        self.rebuilt = self._counter(
            "voltick_rebuilt_ticks", "Messages read at start only to rebuild state."
        )
        self.followed = self._counter(
            "voltick_standby_ticks",
            "Messages of other members' partitions, read to follow their state.",
        )
        self.predictions = self._counter("voltick_predictions", "Predictions made.")
        self.dead_letters = Counter(
            "voltick_dead_letters", "Dead letters by reason.", ("reason",), registry=self.registry
        )
        self.late = self._counter("voltick_late", "Ticks older than their symbol's newest.")
        self.duplicates = self._counter(
            "voltick_duplicates", "Ticks whose trade id was not above their symbol's newest."
        )
        self.gaps = self._counter("voltick_gaps", "Ticks before which others were lost.")
        self.restarts = self._counter(
            "voltick_restarts", "Ticks with which a symbol's memory began anew."
        )
        self.crowded_out = self._counter(
            "voltick_symbols_crowded_out",
            "Symbols whose memory ended for others, beyond VOLTICK_MAX_SYMBOLS; each time counts.",
        )
        self.swaps = Counter(
            "voltick_model_swaps",
            "Champions changed while running.",
            ("target",),
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "voltick_batch_ticks",
            "Messages in a batch.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "voltick_commit_seconds",
            "Time a Kafka commit took.",
            buckets=_COMMIT_BUCKETS_S,
            registry=self.registry,
        )
        self.latency_seconds = Histogram(
            "voltick_tick_to_commit_seconds",
            "Time from a tick's Kafka timestamp to the commit of its prediction, of the oldest"
            " tick in each commit.",
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.lag = Gauge(
            "voltick_lag_messages",
            "Messages of ticks.raw not read yet.",
            ("partition",),
            registry=self.registry,
        )
        self.committed = Gauge(
            "voltick_committed_offset",
            "Committed offset on ticks.raw.",
            ("partition",),
            registry=self.registry,
        )
        self.freshness = SymbolFreshness()
        self.partitions = PartitionGauges(self.lag, self.committed, forget=self.freshness.forget)
        self.ownership = OwnershipGauges(self.registry, "voltick")
        self.redis = RedisWrites(self.registry, "voltick")
        self.stages = StageLatency(self.registry)
        self.serving = ServingModelsInfo()
        self.embedded = EmbeddedMemory()
        self.standby = StandbyOffsets()
        for collector in (self.freshness, self.serving, self.embedded, self.standby):
            self.registry.register(collector)

    def note_latest(self, partition: int, committed: Sequence[Latest]) -> None:
        """Show how old the newest events of a partition's symbols are, while it is read here."""
        self.partitions.while_read(partition, lambda: self.freshness.note(committed))
