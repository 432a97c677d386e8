"""Which partitions of other members are followed, and how far: metrics that are read when asked."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class StandbyOffsets(Collector):
    """Two gauges by partition; a partition that is no longer followed leaves them.

    ``read`` is set once the flow has its partitions: it returns partition, offset and lag of each.
    """

    def __init__(self) -> None:
        self.read: Callable[[], Sequence[tuple[int, int, int]]] = tuple

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield how far each partition is followed."""
        offset = GaugeMetricFamily(
            "voltick_standby_offset",
            "Offset on ticks.raw up to which this process follows a partition of another member"
            " (VOLTICK_STANDBY).",
            labels=("partition",),
        )
        lag = GaugeMetricFamily(
            "voltick_standby_lag_messages",
            "From there to what the partition's owner has committed: what a takeover still reads.",
            labels=("partition",),
        )
        for partition, followed, behind in self.read():
            offset.add_metric((str(partition),), followed)
            lag.add_metric((str(partition),), behind)
        yield from (offset, lag)
