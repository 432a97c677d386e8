"""Figures of the partitions that this process reads, and no longer of those it gave up."""

import threading
from collections.abc import Callable

from prometheus_client import Gauge


class PartitionGauges:
    """Sets gauges by partition and removes them once the partition is read elsewhere.

    Safe for use by several threads: a source's and a sink's.

    Parameters
    ----------
    lag
        Its last label is ``partition``.
    others
        Shown only while the partition's lag is; the same labels.
    before
        Values of the labels before the partition.
    forget
        Called with a partition that is read elsewhere from now on; must be quick.
    """

    def __init__(
        self,
        lag: Gauge,
        *others: Gauge,
        before: tuple[str, ...] = (),
        forget: Callable[[int], None] = lambda _partition: None,
    ) -> None:
        self._forget = forget
        self._lag = lag
        self._others = others
        self._before = before
        self._lock = threading.Lock()
        self._read: set[int] = set()

    def observe_lag(self, partition: int, lag: int | None) -> None:
        """Show how many messages are not read yet; None: this process reads it no more."""
        labels = (*self._before, str(partition))
        with self._lock:
            if lag is not None:
                self._read.add(partition)
                self._lag.labels(*labels).set(lag)
            elif partition in self._read:
                self._read.discard(partition)
                for gauge in (self._lag, *self._others):
                    gauge.remove(*labels)
                self._forget(partition)

    def while_read(self, partition: int, note: Callable[[], None]) -> None:
        """Note something, unless the partition was given up meanwhile."""
        with self._lock:
            if partition in self._read:
                note()

    def show(self, gauge: Gauge, partition: int, value: float) -> None:
        """Set one of the others, unless the partition was given up meanwhile."""
        labels = (*self._before, str(partition))
        self.while_read(partition, lambda: gauge.labels(*labels).set(value))
