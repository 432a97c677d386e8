"""``python -m bytewax.run flows.outcomes``: what became of each prediction (wiring only).

source -> judge -> sink, one batch of one partition at a time. Reads ``predictions`` alone; an
outcome belongs to the input offset that made it known, and is written in one transaction with it.
"""

import atexit
import threading

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import logs
from flows.connectors.guard import GuardedSink, GuardedSource
from flows.connectors.kafka_admin import ensure_topics
from flows.connectors.kafka_positions import plan_all
from flows.connectors.kafka_sink import TransactionalSink
from flows.connectors.kafka_source import CommittedSource
from flows.connectors.kafka_watchdog import Progress, watch
from flows.connectors.redis_quality import QualityWriter
from flows.errors import ModelRejectedError, ModelStoreError, PortTakenError, VoltickError
from flows.judging import DEFAULT_SPAN, JudgeStep, Publish, Specs, span_of
from flows.monitoring.quality import QualityMonitor
from flows.monitoring.quality_metrics import QualityMetrics
from flows.process import (
    calm_collector,
    end_process,
    exit_code_of,
    explain_engine_panics,
    guarded,
    report,
    stop_on_signals,
)
from flows.scoring.registry import ModelStore
from flows.settings import Settings, load_settings
from flows.targets import Realizer
from schemas import topics

WRITTEN = (topics.PREDICTIONS, topics.OUTCOMES)


def flow() -> Dataflow:
    """Return the flow for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    try:
        settings = load_settings()
        logs.configure(settings.log_format, settings.log_level)
        explain_engine_panics()
        stop = threading.Event()
        stop_on_signals(stop)
        return build(settings, stop)
    except VoltickError as error:
        report(error)
        raise SystemExit(exit_code_of(error)) from None


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the dataflow; the broker is asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker or the log does not allow it.
    """
    config = settings.kafka_config()
    # Its own group: it has its own position, and its own transactional producers.
    group = f"{settings.group}-outcomes"
    partitions = ensure_topics(config, WRITTEN, settings.partitions, settings.replication_factor)
    starts = plan_all(
        config,
        group,
        topics.PREDICTIONS,
        partitions,
        accept_state_loss=settings.accept_state_loss,
    )
    metrics = _metrics(settings)
    store = ModelStore(settings.model_store)
    specs = Specs(store.manifest, (ModelRejectedError, ModelStoreError))
    spans = {DEFAULT_SPAN} | {span_of(manifest.target) for manifest in store.manifests()}
    Realizer(*DEFAULT_SPAN)  # compiles, or loads what is compiled, before anything is read
    judge = JudgeStep(specs, spans, QualityMonitor(), metrics, _publisher(settings))
    progress = Progress()
    source = CommittedSource(
        config,
        group,
        topics.PREDICTIONS,
        starts,
        settings.batch_size,
        stop,
        lambda partition, lag: metrics.lag.labels(partition).set(lag),
        progress,
    )
    sink = TransactionalSink(
        config,
        group,
        topics.PREDICTIONS,
        partitions,
        settings.commit_interval_ms,
        settings.transaction_timeout_ms,
        lambda _commit: None,
        end_process,
        progress,
    )
    dataflow = Dataflow("voltick_outcomes")
    raw = op.input("predictions", dataflow, GuardedSource(source, end_process))
    judged = op.map("judge", raw, guarded(judge))
    op.output("write", judged, GuardedSink(sink, end_process))
    calm_collector()
    # A transaction may be silent for its time-out before the sink gives up by itself.
    limit_s = 60.0 + settings.transaction_timeout_ms / 1000
    watch(config, topics.PREDICTIONS, partitions, progress, limit_s, end_process)
    structlog.get_logger().info(
        "outcomes ready",
        brokers=settings.kafka_bootstrap_servers,
        group=group,
        rebuild=sum(start.emit_from - start.read_from for start in starts),
    )
    return dataflow


def _publisher(settings: Settings) -> Publish:
    if settings.redis_url is None:
        return lambda _points: None
    writer = QualityWriter(settings.redis_url.get_secret_value())
    atexit.register(writer.close)
    return writer.put


def _metrics(settings: Settings) -> QualityMetrics:
    metrics = QualityMetrics()
    if settings.metrics_port:
        try:
            metrics.serve(settings.metrics_port)
        except OSError as error:
            message = (
                f"VOLTICK_METRICS_PORT={settings.metrics_port}: cannot listen ({error.strerror});"
                " choose a free one, or 0 for none"
            )
            raise PortTakenError(message) from None
    return metrics
