"""Live quality and the progress of ``flows.outcomes`` as Prometheus metrics."""

from prometheus_client import Gauge

from flows.monitoring.partitions import PartitionGauges
from flows.monitoring.served import ServedMetrics
from schemas.quality import QualityPoint

# Field of schemas.quality.ModelQuality: what it says.
FIGURES = {
    "pr_auc": "Area under the precision-recall curve over the last hour.",
    "prevalence": "Share of positive truths over the last hour.",
    "roc_auc": "Area under the ROC curve over the last hour.",
    "brier": "Mean squared error of the probability over the last hour.",
    "calibration_error": "Mean distance of score and frequency over the last hour.",
    "rmse": "Root mean squared error of the forecast over the last hour.",
    "mae": "Mean absolute error of the forecast over the last hour.",
    "persistence_rmse": "Root mean squared error of the forecast that nothing changes.",
    "count": "Evaluated predictions in the window.",
}


class QualityMetrics(ServedMetrics):
    """All metrics of ``flows.outcomes``, in a registry of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.predictions = self._counter("voltick_outcomes_predictions", "Predictions read.")
        self.rebuilt = self._counter(
            "voltick_outcomes_rebuilt", "Predictions read at start only to rebuild state."
        )
        self.outcomes = self._counter("voltick_outcomes", "Outcomes published.")
        self.dropped = self._counter(
            "voltick_outcomes_dropped",
            "Predictions without an outcome: the truth lies across a gap or restart, or the model"
            " or its horizon was not known in time.",
        )
        self.unreadable = self._counter(
            "voltick_outcomes_unreadable", "Messages on predictions that are none."
        )
        self.lag = Gauge(
            "voltick_outcomes_lag_messages",
            "Messages of predictions not read yet.",
            ("partition",),
            registry=self.registry,
        )
        self.partitions = PartitionGauges(self.lag)
        self._figures = {
            name: Gauge(
                f"voltick_quality_{name}", text, ("target", "model", "role"), registry=self.registry
            )
            for name, text in FIGURES.items()
        }
        self._shown: dict[str, list[tuple[Gauge, tuple[str, str, str]]]] = {}

    def show(self, point: QualityPoint) -> None:
        """Show a target's newest figures, and no longer those of models that are gone."""
        for gauge, labels in self._shown.pop(point.target, []):
            gauge.remove(*labels)
        shown = self._shown[point.target] = []
        for model in point.models:
            for name, gauge in self._figures.items():
                value = getattr(model, name)
                if value is not None:
                    labels = (point.target, model.model, model.role)
                    gauge.labels(*labels).set(value)
                    shown.append((gauge, labels))
