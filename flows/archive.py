"""``python -m bytewax.run flows.archive``: topics to Parquet files (wiring only).

Each topic has a source and a sink of its own: one batch of one partition at a time. Where to
continue is told by the archive's own state, nothing is committed to Kafka.
"""

import threading
import time

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows.codec.batch import RawBatch, partition_key
from flows.connectors.engine_errors import FailFastSink, FailFastSource
from flows.connectors.kafka.admin import DescribedTopic, ensure_topics
from flows.connectors.kafka.source import CommittedSource
from flows.connectors.kafka.watchdog import Progress, watch
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.planning import Plan, plan_topic
from flows.connectors.parquet.sink import ArchiveSink
from flows.connectors.parquet.storage import Storage
from flows.connectors.parquet.writer import Flush
from flows.monitoring.archive_metrics import ArchiveMetrics
from flows.runtime.exactly_once import launch
from flows.runtime.metrics import serve_metrics
from flows.runtime.process import StopRequest, calm_collector, end_process
from flows.settings import Settings

STALL_BEYOND_INTERVAL_S = 120.0
"""How long the storage may be silent, beyond the interval, before the flow ends."""

REST_S = 0.05
"""Between two looks at a partition without new messages: what waits a minute to be written needs no
hurry, and there are many partitions."""


def flow() -> Dataflow:
    """Return the flow for the settings of this process's environment.

    Ends the process with one line where that is not possible.
    """
    return launch(build)


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Return the dataflow; broker and archive are asked, nothing is read or written yet.

    Raises
    ------
    VoltickError
        The broker, the log or the archive does not allow it.
    """
    # Names the clients alone: nothing is committed.
    group = f"{settings.group}-archive"
    storage = open_storage(settings.archive)
    metrics = ArchiveMetrics()
    serve_metrics(metrics, settings, "archive")
    config = settings.kafka_config()
    names = settings.archive_topics
    partitions = ensure_topics(config, names, settings.partitions, settings.replication_factor)
    dataflow = Dataflow("voltick_archive")
    for name in names:
        plan = plan_topic(
            config,
            group,
            storage,
            name,
            partitions,
            accept_state_loss=settings.accept_state_loss,
        )
        _archive(dataflow, settings, group, storage, plan, metrics, stop)
    calm_collector()
    structlog.get_logger().info(
        "archive ready",
        brokers=settings.kafka_bootstrap_servers,
        archive=storage.name,
        topics=list(names),
        partitions=partitions,
    )
    return dataflow


def _archive(
    dataflow: Dataflow,
    settings: Settings,
    group: str,
    storage: Storage,
    plan: Plan,
    metrics: ArchiveMetrics,
    stop: threading.Event,
) -> None:
    """Add one topic's source and sink to the dataflow, and watch them."""
    topic, progress = plan.topic, Progress()
    source = CommittedSource(
        settings.kafka_config(),
        group,
        topic,
        plan.starts(),
        settings.batch_size,
        stop,
        metrics.partitions(topic).observe_lag,
        progress,
        rest_s=REST_S,
    )
    sink = ArchiveSink(
        storage,
        topic,
        plan.beginnings,
        settings.archive_interval_s,
        settings.archive_rows,
        lambda flush: _count(metrics, flush),
        end_process,
        progress,
    )
    step = topic.replace(".", "-")  # the engine allows no dot
    raw = op.input(f"read-{step}", dataflow, FailFastSource(source, end_process))
    keyed = op.map(f"key-{step}", raw, _keyed)
    observed = stop.observe_sink if isinstance(stop, StopRequest) else lambda _change: None
    op.output(f"write-{step}", keyed, FailFastSink(sink, end_process, observed))
    watch(
        settings.kafka_config(),
        topic,
        DescribedTopic(len(plan.beginnings), plan.topic_id),
        progress,
        STALL_BEYOND_INTERVAL_S + settings.archive_interval_s,
        end_process,
    )


def _keyed(batch: RawBatch) -> tuple[str, RawBatch]:
    return partition_key(batch.partition), batch


def _count(metrics: ArchiveMetrics, flush: Flush) -> None:
    topic, partition = flush.topic, flush.partition
    metrics.messages.labels(topic).inc(flush.messages)
    metrics.unreadable.labels(topic).inc(flush.unreadable)
    metrics.files.labels(topic).inc(flush.files)
    metrics.bytes.labels(topic).inc(flush.size)
    metrics.seconds.labels(topic).inc(flush.seconds)
    metrics.next_offset.labels(topic, partition).set(flush.next_offset)
    metrics.last_write.labels(topic, partition).set(time.time())
