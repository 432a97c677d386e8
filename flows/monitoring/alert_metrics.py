"""The metrics of ``flows.alerts``."""

from prometheus_client import Counter

from flows.monitoring.served import ServedMetrics


class AlertMetrics(ServedMetrics):
    """All metrics of the program, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.predictions = self._counter("voltick_alerts_predictions", "Predictions read.")
        self.alerts = Counter(
            "voltick_alerts",
            "Alerts by what became of them: sent, failed after several tries, or dropped where too"
            " many waited.",
            ("target", "result"),
            registry=self.registry,
        )
