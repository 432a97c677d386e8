"""The metrics of ``flows.archive``."""

from prometheus_client import Counter, Gauge

from flows.monitoring.ownership import OwnershipGauges
from flows.monitoring.partitions import PartitionGauges
from flows.monitoring.served import ServedMetrics

_TOPIC = ("topic",)
_PLACE = ("topic", "partition")


class ArchiveMetrics(ServedMetrics):
    """All metrics of the flow, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = self._by_topic("messages", "Messages written to the archive.")
        self.unreadable = self._by_topic(
            "unreadable", "Messages that are none of their topic, kept as raw bytes."
        )
        self.files = self._by_topic("files", "Files written.")
        self.bytes = self._by_topic("bytes", "Bytes of the files written.")
        self.seconds = self._by_topic("write_seconds", "Time that writing took.")
        self.next_offset = Gauge(
            "voltick_archive_next_offset",
            "All messages of the partition before it are in the archive.",
            _PLACE,
            registry=self.registry,
        )
        self.last_write = Gauge(
            "voltick_archive_last_write_timestamp_seconds",
            "When the partition was written last, seconds since 1970.",
            _PLACE,
            registry=self.registry,
        )
        self.lag = Gauge(
            "voltick_archive_lag_messages",
            "Messages not read yet.",
            _PLACE,
            registry=self.registry,
        )
        self.ownership = OwnershipGauges(self.registry, "voltick_archive")

    def partitions(self, topic: str) -> PartitionGauges:
        """Return what shows a topic's lag by partition."""
        return PartitionGauges(self.lag, before=(topic,))

    def _by_topic(self, name: str, text: str) -> Counter:
        return Counter(f"voltick_archive_{name}", text, _TOPIC, registry=self.registry)
