"""Drift as Prometheus metrics."""

from typing import get_args

from prometheus_client import CollectorRegistry, Gauge

from flows.monitoring.drift import SCORE
from schemas.drift import DriftReport, DriftState, ModelDrift

_MODEL = ("target", "model")


class DriftMetrics:
    """Shows the newest report of each target, and no longer models that are gone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._psi = Gauge(
            "voltick_drift_psi",
            "Population stability index of a model's input, or of its `score`, over the last hour"
            " against its training: above 0.25 it has moved much.",
            (*_MODEL, "feature"),
            registry=registry,
        )
        self._ks = Gauge(
            "voltick_drift_ks",
            "Greatest distance of the distributions of an input, or of the `score`, over the last"
            " hour and in training.",
            (*_MODEL, "feature"),
            registry=registry,
        )
        self._moved = Gauge(
            "voltick_drift_moved_share",
            "Share of a model's inputs that have moved much.",
            _MODEL,
            registry=registry,
        )
        self._rows = Gauge(
            "voltick_drift_rows", "Rows that were compared.", _MODEL, registry=registry
        )
        self._state = Gauge(
            "voltick_drift_state",
            "1 for the present state: unknown, stable, drift, or misfit, where the reference is"
            " that of another market.",
            (*_MODEL, "state"),
            registry=registry,
        )
        self._shown: dict[str, list[tuple[Gauge, tuple[str, ...]]]] = {}

    def show(self, report: DriftReport) -> None:
        """Show a target's report in place of the one before."""
        for gauge, labels in self._shown.pop(report.target, []):
            gauge.remove(*labels)
        shown = self._shown[report.target] = []
        for model in report.models:
            for gauge, more, value in self._figures(model):
                labels = (report.target, model.model, *more)
                gauge.labels(*labels).set(value)
                shown.append((gauge, labels))

    def _figures(self, model: ModelDrift) -> list[tuple[Gauge, tuple[str, ...], float]]:
        found: list[tuple[Gauge, tuple[str, ...], float | None]] = [
            (self._rows, (), model.rows),
            (self._moved, (), model.moved),
        ]
        for state in get_args(DriftState):
            found.append((self._state, (state,), float(state == model.state)))
        scored = [] if model.score is None else [model.score]
        for each in [*model.inputs, *scored]:
            name = SCORE if each in scored else each.feature
            found += [(self._psi, (name,), each.psi), (self._ks, (name,), each.ks)]
        return [(gauge, more, value) for gauge, more, value in found if value is not None]
