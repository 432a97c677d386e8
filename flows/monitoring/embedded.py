"""The embedded broker's memory, which grows until the run ends."""

from collections.abc import Iterable

import psutil
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_MEGABYTE = 1_000_000


class EmbeddedMemory(Collector):
    """``voltick_embedded_broker_bytes`` and its limit; nothing on a broker of one's own."""

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._limit_mb = 0

    def watch(self, pid: int, limit_mb: int) -> None:
        """Show the memory of this process from now on."""
        try:
            self._process = psutil.Process(pid)
        except psutil.Error:  # it has ended, and the run with it
            return
        self._limit_mb = limit_mb

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield memory and limit, as long as the process is there."""
        used = GaugeMetricFamily(
            "voltick_embedded_broker_bytes", "Memory of the embedded broker, which never forgets."
        )
        limit = GaugeMetricFamily(
            "voltick_embedded_broker_limit_bytes",
            "VOLTICK_EMBEDDED_MEMORY_MB: at this size the all-in-one run ends.",
        )
        if self._process is not None:
            try:
                used.add_metric((), self._process.memory_info().rss)
                limit.add_metric((), self._limit_mb * _MEGABYTE)
            except psutil.Error:
                self._process = None
        yield from (used, limit)
