"""The metrics of ``flows.candles``."""

from prometheus_client import Counter, Gauge

from flows.monitoring.ownership import OwnershipGauges
from flows.monitoring.partitions import PartitionGauges
from flows.monitoring.served import ServedMetrics


class CandleMetrics(ServedMetrics):
    """All metrics of the flow, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = self._counter("voltick_candles_ticks", "Messages read from ticks.raw.")
        self.unusable = self._counter(
            "voltick_candles_unusable", "Messages of ticks.raw that are no usable tick."
        )
        self.late = self._counter(
            "voltick_candles_late", "Ticks that came after one of their candles was closed."
        )
        self.candles = Counter(
            "voltick_candles", "Candles written.", ("interval_s",), registry=self.registry
        )
        self.lag = Gauge(
            "voltick_candles_lag_messages",
            "Messages of ticks.raw not read yet.",
            ("partition",),
            registry=self.registry,
        )
        self.partitions = PartitionGauges(self.lag)
        self.ownership = OwnershipGauges(self.registry, "voltick_candles")
