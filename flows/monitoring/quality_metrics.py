"""Live quality and the progress of ``flows.outcomes`` as Prometheus metrics."""

from collections.abc import Callable, Mapping

from prometheus_client import Gauge

from flows.monitoring.drift_metrics import DriftMetrics
from flows.monitoring.ownership import OwnershipGauges
from flows.monitoring.partitions import PartitionGauges
from flows.monitoring.redis_writes import RedisWrites
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


EXPECTED = ("pr_auc", "brier", "rmse")
"""Figures that training leaves in the manifest, by the same name."""


class QualityMetrics(ServedMetrics):
    """All metrics of ``flows.outcomes``, in a registry of its own.

    ``expected`` returns the figures of a model's training by ``name@version``.
    """

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
        self.ownership = OwnershipGauges(self.registry, "voltick_outcomes")
        self.redis = RedisWrites(self.registry, "voltick_outcomes")
        self._figures = {
            name: Gauge(
                f"voltick_quality_{name}", text, ("target", "model", "role"), registry=self.registry
            )
            for name, text in FIGURES.items()
        }
        self._expected = {
            name: Gauge(
                f"voltick_quality_expected_{name}",
                f"What the model's training leads to expect of voltick_quality_{name}.",
                ("target", "model", "role"),
                registry=self.registry,
            )
            for name in EXPECTED
        }
        self.drift = DriftMetrics(self.registry)
        self.expected: Callable[[str], Mapping[str, float]] = lambda _model: {}
        self._shown: dict[str, list[tuple[Gauge, tuple[str, str, str]]]] = {}

    def show(self, point: QualityPoint) -> None:
        """Show a target's newest figures, and no longer those of models that are gone."""
        for gauge, labels in self._shown.pop(point.target, []):
            gauge.remove(*labels)
        shown = self._shown[point.target] = []
        for model in point.models:
            labels = (point.target, model.model, model.role)
            expected = self.expected(model.model)
            figures = [(gauge, getattr(model, name)) for name, gauge in self._figures.items()]
            figures += [(gauge, expected.get(name)) for name, gauge in self._expected.items()]
            for gauge, value in figures:
                if value is not None:
                    gauge.labels(*labels).set(value)
                    shown.append((gauge, labels))
