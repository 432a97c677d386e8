"""``python -m bytewax.run flows.pipeline``: score ticks while they stream (wiring only).

source -> decode -> features -> score -> encode -> sink, one batch of one partition at a time.
"""

import atexit
import threading
import time

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import logs
from flows.connectors.guard import GuardedSink, GuardedSource
from flows.connectors.kafka_admin import DEAD_LETTER_BYTES, ensure_topics
from flows.connectors.kafka_limits import message_limit
from flows.connectors.kafka_positions import plan_all
from flows.connectors.kafka_sink import TransactionalSink
from flows.connectors.kafka_source import CommittedSource
from flows.connectors.kafka_transactions import Commit
from flows.connectors.kafka_watchdog import Progress, watch
from flows.connectors.latest import restore_latest
from flows.connectors.redis import LatestWriter
from flows.errors import ModelRejectedError, PortTakenError, VoltickError
from flows.features import warm_up
from flows.local.launcher import ensure_services
from flows.monitoring.metrics import PipelineMetrics
from flows.process import (
    calm_collector,
    end_process,
    exit_code_of,
    explain_engine_panics,
    guarded,
    report,
    stop_on_signals,
)
from flows.scoring.baseline import ensure_baseline
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from flows.settings import Settings, load_settings
from flows.steps import DecodeStep, EncodeStep, FeatureStep, ScoreStep
from schemas import topics

WRITTEN = (topics.TICKS_RAW, topics.PREDICTIONS, topics.TICKS_FEATURES, topics.DEAD_LETTERS)


# Loading the compiled kernel from its cache takes a fraction of this.
KERNEL_SILENCE_S = 2.0


def flow() -> Dataflow:
    """Return the pipeline for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    try:
        settings = load_settings()
        logs.configure(settings.log_format, settings.log_level)
        explain_engine_panics()
        served = ensure_services(settings)
        stop = threading.Event()
        if served is settings:  # otherwise the embedded services' supervisor listens to signals
            stop_on_signals(stop)
        return build(served, stop)
    except VoltickError as error:
        report(error)
        raise SystemExit(exit_code_of(error)) from None


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the pipeline; the brokers are asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker, the log or the model store does not allow it.
    """
    config = settings.kafka_config()
    partitions = ensure_topics(config, WRITTEN, settings.partitions, settings.replication_factor)
    starts = plan_all(
        config,
        settings.group,
        topics.TICKS_RAW,
        partitions,
        accept_state_loss=settings.accept_state_loss,
    )
    metrics = _metrics(settings)
    scorer = _scorer(settings)
    _prepare_kernel()
    latest = _latest(settings)
    progress = Progress()

    def on_commit(commit: Commit) -> None:
        _observe(metrics, commit)
        if latest is not None:
            for batch in commit.batches:
                latest.put(batch.latest)

    source = CommittedSource(
        config,
        settings.group,
        topics.TICKS_RAW,
        starts,
        settings.batch_size,
        stop,
        lambda partition, lag: metrics.lag.labels(partition).set(lag),
        progress,
    )
    sink = TransactionalSink(
        config,
        settings.group,
        topics.TICKS_RAW,
        partitions,
        settings.commit_interval_ms,
        settings.transaction_timeout_ms,
        on_commit,
        end_process,
        progress,
    )
    decode = DecodeStep(topics.TICKS_RAW, frozenset(settings.allowed_symbols), metrics)
    encode = EncodeStep(
        topics.TICKS_RAW,
        metrics,
        publish_features=settings.publish_features,
        dead_letter_bytes=message_limit(config, topics.DEAD_LETTERS, DEAD_LETTER_BYTES),
    )
    dataflow = Dataflow("voltick_pipeline")
    raw = op.input("ticks", dataflow, GuardedSource(source, end_process))
    decoded = op.map("decode", raw, guarded(decode))
    featured = op.map("features", decoded, guarded(FeatureStep(metrics)))
    scored = op.map("score", featured, guarded(ScoreStep(scorer, metrics)))
    encoded = op.map("encode", scored, guarded(encode))
    op.output("write", encoded, GuardedSink(sink, end_process))
    calm_collector()
    watch(config, topics.TICKS_RAW, partitions, progress, _stall_limit_s(settings), end_process)
    _announce(settings, sum(start.emit_from - start.read_from for start in starts))
    return dataflow


def _prepare_kernel() -> None:
    """Load the feature kernel; where it is compiled instead, say what takes so long."""

    def say() -> None:
        structlog.get_logger().info(
            "preparing the feature kernel: a first run compiles it once, some seconds"
        )

    timer = threading.Timer(KERNEL_SILENCE_S, say)
    timer.daemon = True
    timer.start()
    try:
        warm_up()
    finally:
        timer.cancel()


def _scorer(settings: Settings) -> Scorer:
    store = ModelStore(settings.model_store)
    simulated = settings.feed == "simulate"
    for target in settings.targets:
        if not simulated:
            _retire_simulated(store, target)
        ensure_baseline(store, target)
    return Scorer(
        store,
        settings.targets,
        settings.model_version,
        settings.model_variant,
        allow_simulated=simulated,
    )


def _retire_simulated(store: ModelStore, target: str) -> None:
    before = store.aliases(target).champion
    try:
        if before is None or store.manifest(before).provenance != "simulated":
            return
    except ModelRejectedError:  # broken: the scorer says so
        return
    after = store.retire_simulated(target, by="pipeline, live feed").champion
    structlog.get_logger().warning(
        "the champion was trained on SIMULATED data: it does not serve this feed",
        target=target,
        model=before,
        instead=after,
    )


def _latest(settings: Settings) -> LatestWriter | None:
    if settings.redis_url is None:
        return None
    latest = LatestWriter(settings.redis_url.get_secret_value(), settings.history_length)
    atexit.register(latest.close)
    restore_latest(settings.kafka_config(), latest)
    return latest


def _stall_limit_s(settings: Settings) -> float:
    # A transaction may be silent for its time-out before the sink gives up by itself.
    return 60.0 + settings.transaction_timeout_ms / 1000


def _metrics(settings: Settings) -> PipelineMetrics:
    metrics = PipelineMetrics()
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


def _observe(metrics: PipelineMetrics, commit: Commit) -> None:
    metrics.commit_seconds.observe(commit.seconds)
    metrics.committed.labels(commit.partition).set(commit.batches[-1].next_offset)
    oldest_ms = next((b.oldest_ms for b in commit.batches if b.oldest_ms is not None), None)
    if oldest_ms is not None:
        metrics.latency_seconds.observe(max(time.time() - oldest_ms / 1000, 0.0))


def _announce(settings: Settings, rebuild: int) -> None:
    structlog.get_logger().info(
        "pipeline ready",
        brokers=settings.kafka_bootstrap_servers,
        group=settings.group,
        rebuild=rebuild,
    )
