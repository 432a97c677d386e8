"""What the metrics of every flow have in common: a registry of their own, answered to scrapes."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)


class ServedMetrics:
    """A registry with the process's own figures; each flow adds what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def serve(self, port: int) -> None:
        """Answer scrapes at ``127.0.0.1:port/metrics``.

        Raises
        ------
        OSError
            The port is taken.
        """
        start_http_server(port, "127.0.0.1", registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)
