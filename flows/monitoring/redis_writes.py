"""Whether Redis takes what a flow writes to it, as a metric."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge


class RedisWrites:
    """A gauge of each kind of writes, read when it is scraped; none without Redis.

    Parameters
    ----------
    prefix
        Of the metric's name.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._up = Gauge(
            f"{prefix}_redis_up",
            "1 while Redis takes what this process writes, 0 from the first write that fails to the"
            " next one that it takes: it is away, a replica, full, or forbids it.",
            ("written",),
            registry=registry,
        )

    def watch(self, written: str, is_away: Callable[[], bool]) -> None:
        """Show whether writes of this name are taken."""
        self._up.labels(written).set_function(lambda: float(not is_away()))
