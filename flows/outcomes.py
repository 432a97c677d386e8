"""``python -m bytewax.run flows.outcomes``: join predictions with outcomes (wiring only).

source -> outcome join -> sink, one batch of one partition at a time. Reads ``predictions`` alone.
An outcome belongs to the input offset that made it known, and is written in one transaction with
it.
"""

import atexit
import threading
from collections.abc import Mapping, Sequence

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows.connectors.kafka.lineage import OUTCOMES_OUTPUTS
from flows.connectors.redis import DriftWriter, QualityWriter
from flows.errors import ModelRejectedError, ModelStoreError
from flows.monitoring.quality import WINDOW_S, QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.monitoring.quality_windows import beside, combine
from flows.numeric.background import BackgroundKernel
from flows.numeric.time import NS_PER_S
from flows.runtime.exactly_once import Endpoints, launch
from flows.runtime.metrics import serve_metrics
from flows.runtime.process import end_on_error, refuse_without_engine
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from flows.stages.drift_watch import DriftWatch, KnownManifests, tail_of, watch_drift
from flows.stages.outcome_join import DEFAULT_SPAN, OutcomeJoin, Publish
from flows.stages.specs import Specs, span_of
from flows.targets import label_kernel
from schemas import topics
from schemas.drift import DriftReport
from schemas.models import ModelManifest
from schemas.quality import QualityPoint, QualityWindow

WRITTEN = (topics.PREDICTIONS, topics.OUTCOMES)


def flow() -> Dataflow:
    """Return the flow for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    return launch(build)


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the dataflow; the broker is asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker or the log does not allow it.
    """
    kernel = BackgroundKernel(label_kernel())
    # Its own group: it has its own position, and its own transactional producers.
    group = f"{settings.group}-outcomes"
    endpoints = Endpoints(
        settings, group, topics.PREDICTIONS, WRITTEN, stop, OUTCOMES_OUTPUTS, kernels=(kernel,)
    )
    if endpoints.rebuild:
        kernel.begin()
    metrics = QualityMetrics()
    metrics.ownership.read = endpoints.figures
    serve_metrics(metrics, settings, "outcomes", endpoints.health)
    store = ModelStore(settings.model_store)
    specs = Specs(store.manifest, (ModelRejectedError, ModelStoreError))
    spans = {DEFAULT_SPAN} | {span_of(manifest.target) for manifest in store.manifests()}
    join = OutcomeJoin(
        specs,
        spans,
        QualityMonitor(),
        metrics,
        _publisher(settings, metrics),
        kernel,
        settings.max_symbols,
    )
    manifests = KnownManifests(store.manifest)
    metrics.expected = lambda ref: _expected(manifests(ref))
    _watch_drift(settings, manifests, metrics, stop)
    dataflow = Dataflow("voltick_outcomes")
    source, sink = endpoints.ends(metrics.partitions.observe_lag, lambda _commit: None)
    raw = op.input("predictions", dataflow, source)
    joined = op.map("outcome_join", raw, end_on_error(join))
    op.output("write", joined, sink)
    endpoints.watch()
    structlog.get_logger().info(
        "outcomes ready",
        brokers=settings.kafka_bootstrap_servers,
        group=group,
        rebuild=endpoints.rebuild,
    )
    return dataflow


def _expected(manifest: ModelManifest | None) -> Mapping[str, float]:
    return {} if manifest is None else manifest.metrics


def _watch_drift(
    settings: Settings, manifests: KnownManifests, metrics: QualityMetrics, stop: threading.Event
) -> None:
    writer = None
    if settings.redis_url is not None:
        drift = writer = DriftWriter(settings.redis_url.get_secret_value())
        metrics.redis.watch("drift", lambda: drift.is_away)
        atexit.register(writer.close)

    def publish(report: DriftReport) -> None:
        metrics.drift.show(report)
        if writer is not None:
            writer.put(report)

    def restore() -> list[DriftReport]:
        found = [] if writer is None else [writer.read(target) for target in settings.targets]
        return [report for report in found if report is not None]

    watch = DriftWatch(tail_of(settings.kafka_config()), manifests, publish)
    watch_drift(watch, restore, stop)


def _publisher(settings: Settings, metrics: QualityMetrics) -> Publish:
    if settings.redis_url is None:
        return lambda _windows: None
    writer = QualityWriter(settings.redis_url.get_secret_value(), _point)
    metrics.redis.watch("quality", lambda: writer.is_away)
    atexit.register(writer.close)
    return writer.put


def _point(own: Sequence[QualityWindow], others: Sequence[QualityWindow]) -> QualityPoint:
    return combine(beside(own, others, WINDOW_S * NS_PER_S))


if __name__ == "__main__":
    refuse_without_engine("flows.outcomes")
