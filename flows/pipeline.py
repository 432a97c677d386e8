"""``python -m bytewax.run flows.pipeline``: score ticks while they stream (wiring only).

source -> decode -> features -> score -> encode -> sink, one batch of one partition at a time.
"""

import atexit
import threading
import time

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows.codec.row_writer import row_writer_kernel
from flows.codec.tick_parser import tick_parser_kernel
from flows.connectors.kafka.admin import DEAD_LETTER_BYTES, message_limit
from flows.connectors.kafka.lineage import PIPELINE_OUTPUTS
from flows.connectors.kafka.transactions import Commit
from flows.connectors.redis import DeadLetterRateWriter, LatestWriter
from flows.connectors.redis.restore import restore_latest
from flows.errors import ModelRejectedError, ModelStoreError
from flows.features import feature_kernel
from flows.local.launcher import ensure_services
from flows.monitoring.dead_letters import DeadLetterWatch, Publish
from flows.monitoring.live_batches import LiveBatches
from flows.monitoring.metrics import PipelineMetrics
from flows.monitoring.serving_info import ServingInfo
from flows.monitoring.tracing import BatchTraces, open_traces
from flows.numeric.background import BackgroundKernel
from flows.numeric.time import NS_PER_MS, NS_PER_S
from flows.runtime.exactly_once import Endpoints, launch
from flows.runtime.metrics import serve_metrics
from flows.runtime.process import end_on_error, refuse_without_engine
from flows.scoring.baseline import ensure_baseline
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer, TargetStatus
from flows.scoring.serving_models import serves_simulated
from flows.settings import Settings
from flows.stages.encode import EncodeStep
from flows.stages.score import DecodeStep, FeatureStep, ScoreStep
from flows.stages.steps import Steps
from schemas import topics

WRITTEN = (topics.TICKS_RAW, topics.PREDICTIONS, topics.TICKS_FEATURES, topics.DEAD_LETTERS)


def flow() -> Dataflow:
    """Return the pipeline for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    return launch(build, ensure_services)


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the pipeline; the brokers are asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker, the log or the model store does not allow it.
    """
    kernel = BackgroundKernel(feature_kernel())
    writer = BackgroundKernel(row_writer_kernel(), after=kernel)
    parser = BackgroundKernel(tick_parser_kernel(), after=writer)
    endpoints = Endpoints(
        settings,
        settings.group,
        topics.TICKS_RAW,
        WRITTEN,
        stop,
        PIPELINE_OUTPUTS,
        follow_when=lambda: kernel.compiled,
        kernels=(kernel, writer, parser),
        idle=() if settings.publish_features else (topics.TICKS_FEATURES,),
    )
    if endpoints.rebuild or settings.standby:
        kernel.begin()
    metrics = PipelineMetrics()
    metrics.ownership.read = endpoints.figures
    metrics.standby.read = endpoints.followed
    serve_metrics(metrics, settings, health=endpoints.health)
    scorer = _scorer(settings)
    metrics.serving.read = lambda: [_info(status) for status in scorer.status()]
    metrics.freshness.ttl_s = settings.symbol_ttl_s
    if settings.embedded_broker_pid:
        metrics.embedded.watch(settings.embedded_broker_pid, settings.embedded_memory_mb)
    latest = _latest(settings, endpoints, metrics)

    live = LiveBatches(settings.live_from_ns)
    traces = open_traces(topics.TICKS_RAW) if settings.traces else None

    def on_commit(commit: Commit) -> None:
        _observe(metrics, commit, live, traces)
        if latest is not None:
            for batch in commit.batches:
                latest.put(batch.latest, passed=batch.passed)

    source, sink = endpoints.ends(metrics.partitions.observe_lag, on_commit)
    decode = DecodeStep(
        topics.TICKS_RAW,
        settings.allowed,
        metrics,
        settings.max_symbols,
        parser.compiled_form,
    )
    features = FeatureStep(metrics, kernel, settings.max_symbols)
    encode = EncodeStep(
        topics.TICKS_RAW,
        metrics,
        publish_features=settings.publish_features,
        packed_features=settings.features_format == "base64",
        dead_letter_bytes=message_limit(
            settings.kafka_config(), topics.DEAD_LETTERS, DEAD_LETTER_BYTES
        ),
        note_dead=DeadLetterWatch(_dead_letter_rates(settings)).note,
        write=writer.compiled_form,
    )
    score = ScoreStep(scorer, metrics)
    steps = Steps(decode, features, score, encode)
    if traces is not None:
        steps = steps.traced(traces)
    dataflow = Dataflow("voltick_pipeline")
    raw = op.input("ticks", dataflow, source)
    decoded = op.map("decode", raw, end_on_error(steps.decode))
    featured = op.map("features", decoded, end_on_error(steps.features))
    scored = op.map("score", featured, end_on_error(steps.score))
    encoded = op.map("encode", scored, end_on_error(steps.encode))
    op.output("write", encoded, sink)
    endpoints.watch()
    structlog.get_logger().info(
        "pipeline ready",
        brokers=settings.kafka_bootstrap_servers,
        group=settings.group,
        rebuild=endpoints.rebuild,
    )
    return dataflow


def _scorer(settings: Settings) -> Scorer:
    store = ModelStore(settings.model_store)
    simulated = serves_simulated(settings.feed)
    causes = []
    for target in settings.targets:
        try:
            if not simulated:
                _retire_simulated(store, target)
            ensure_baseline(store, target)
        except ModelStoreError as error:  # a store on a read-only mount serves what it holds
            causes.append(str(error))
    if causes:
        structlog.get_logger().warning(
            "the model store cannot be changed; a target without a champion is not scored",
            cause=causes[0],
        )
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


def _info(status: TargetStatus) -> ServingInfo:
    champion = status.champion
    return ServingInfo(
        status.target,
        None if champion is None else champion.ref,
        None if champion is None else champion.variant,
        status.challengers,
        len(status.problems),
    )


def _latest(
    settings: Settings, endpoints: Endpoints, metrics: PipelineMetrics
) -> LatestWriter | None:
    if settings.redis_url is None:
        structlog.get_logger().warning("REDIS_URL is not set: scores are on Kafka alone")
        return None
    latest = LatestWriter(
        settings.redis_url.get_secret_value(),
        settings.history_length,
        endpoints.log_id,
        settings.symbol_ttl_s,
        metrics.stages.observe_redis,
        settings.max_symbols,
    )
    metrics.redis.watch("scores", lambda: latest.is_away)
    atexit.register(latest.close)
    restore_latest(settings.kafka_config(), latest, endpoints.anew)
    return latest


def _dead_letter_rates(settings: Settings) -> Publish:
    if settings.redis_url is None:
        return lambda _rate: None
    writer = DeadLetterRateWriter(settings.redis_url.get_secret_value())
    atexit.register(writer.close)
    return writer.put


def _observe(
    metrics: PipelineMetrics, commit: Commit, live: LiveBatches, traces: BatchTraces | None
) -> None:
    metrics.commit_seconds.observe(commit.seconds)
    metrics.partitions.show(metrics.committed, commit.partition, commit.batches[-1].next_offset)
    now_ns = time.time_ns()
    held = [batch for batch in commit.batches if live.holds(batch)]
    ids = [] if traces is None else [traces.end(each, commit.seconds, now_ns) for each in held]
    for batch in held:
        metrics.stages.observe_commit(batch, now_ns)
    if held and held[0].oldest_ms is not None:
        oldest_ns = held[0].oldest_ms * NS_PER_MS
        exemplar = {"trace_id": ids[0]} if ids and ids[0] is not None else None
        metrics.latency_seconds.observe(max((now_ns - oldest_ns) / NS_PER_S, 0.0), exemplar)
    for batch in commit.batches:
        metrics.note_latest(commit.partition, batch.latest)


if __name__ == "__main__":
    refuse_without_engine("flows.pipeline")
