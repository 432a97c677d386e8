"""What the metrics of a flow say of the partitions that its process owns."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

# Partitions, those of them that are rebuilt, and seconds since they changed.
Figures = Callable[[], tuple[int, int, float]]


class OwnershipGauges:
    """Gauges that are read when they are scraped.

    Parameters
    ----------
    prefix
        Of the metrics' names.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self.read: Figures = lambda: (0, 0, math.nan)
        told = {
            "assigned_partitions": "Partitions that this process owns.",
            "rebuilding_partitions": "Partitions of this process whose state is not there yet.",
            "rebalance_age_seconds": "Time since the partitions of this process changed; NaN where"
            " no group shares them out.",
        }
        for at, (name, text) in enumerate(told.items()):
            gauge = Gauge(f"{prefix}_{name}", text, registry=registry)
            gauge.set_function(self._reader(at))

    def _reader(self, at: int) -> Callable[[], float]:
        return lambda: self.read()[at]
