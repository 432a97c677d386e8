"""``python -m bytewax.run flows.archive``: topics to Parquet files (wiring only).

Each topic has a source and a sink of its own: one batch of one partition at a time. Where to
continue is told by the archive's own state, nothing is committed to Kafka.
"""

import threading
import time
from collections.abc import Sequence

import structlog
from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows.codec.batch import RawBatch, partition_key
from flows.connectors.kafka.admin import ensure_topics
from flows.connectors.kafka.group import figures
from flows.connectors.kafka.permissions import require_allowed
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.planning import plan_topic
from flows.connectors.parquet.writer import Flush
from flows.monitoring.archive_metrics import ArchiveMetrics
from flows.monitoring.served import Health
from flows.runtime.archiving import ArchiveEndpoints, Archiving
from flows.runtime.exactly_once import launch
from flows.runtime.metrics import serve_metrics
from flows.runtime.process import calm_collector, refuse_without_engine
from flows.settings import Settings


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
    # Names the clients; nothing is committed.
    name = f"{settings.group}-archive"
    storage = open_storage(settings.archive)
    metrics = ArchiveMetrics()
    archived: list[ArchiveEndpoints] = []
    metrics.ownership.read = lambda: figures([each.share() for each in archived])
    serve_metrics(metrics, settings, "archive", lambda: _health(archived))
    config = settings.kafka_config()
    names = settings.archive_topics
    partitions = ensure_topics(config, names, settings.partitions, settings.replication_factor)
    require_allowed(config, reads=names)
    archiving = Archiving(settings, name, storage, stop, lambda flush: _count(metrics, flush))
    dataflow = Dataflow("voltick_archive")
    for topic in names:
        plan = plan_topic(
            config,
            name,
            storage,
            topic,
            partitions,
            accept_state_loss=settings.accept_state_loss,
        )
        endpoints = ArchiveEndpoints(archiving, plan, metrics.partitions(topic).observe_lag)
        _archive(dataflow, endpoints)
        archived.append(endpoints)
    calm_collector()
    structlog.get_logger().info(
        "archive ready",
        brokers=settings.kafka_bootstrap_servers,
        archive=storage.name,
        topics=list(names),
        partitions=partitions,
    )
    return dataflow


def _archive(dataflow: Dataflow, endpoints: ArchiveEndpoints) -> None:
    """Add one topic's source and sink to the dataflow, and watch them."""
    step = endpoints.topic.replace(".", "-")  # the engine allows no dot
    source, sink = endpoints.ends()
    raw = op.input(f"read-{step}", dataflow, source)
    keyed = op.map(f"key-{step}", raw, _keyed)
    op.output(f"write-{step}", keyed, sink)
    endpoints.watch()


def _keyed(batch: RawBatch) -> tuple[str, RawBatch]:
    return partition_key(batch.partition), batch


def _health(archived: Sequence[ArchiveEndpoints]) -> Health:
    """Return what this process owns, by topic, and how far behind each partition is."""
    shares = {each.topic: each.share() for each in archived}
    owned = {topic: sorted(one.partition for one in each.owned) for topic, each in shares.items()}
    times_s = [each.since_s for each in shares.values() if each.since_s is not None]
    lags = {each.topic: dict(each.lag) for each in archived}
    details = {
        "assigned": owned,
        "lag_messages": {
            topic: {str(one): lags[topic].get(one) for one in each} for topic, each in owned.items()
        },
        "rebalance_age_s": min(times_s, default=None),
    }
    return Health(bool(shares) and all(each.joined for each in shares.values()), details)


def _count(metrics: ArchiveMetrics, flush: Flush) -> None:
    topic, partition = flush.topic, flush.partition
    metrics.messages.labels(topic).inc(flush.messages)
    metrics.unreadable.labels(topic).inc(flush.unreadable)
    metrics.files.labels(topic).inc(flush.files)
    metrics.bytes.labels(topic).inc(flush.size)
    metrics.seconds.labels(topic).inc(flush.seconds)
    metrics.next_offset.labels(topic, partition).set(flush.next_offset)
    metrics.last_write.labels(topic, partition).set(time.time())


if __name__ == "__main__":
    refuse_without_engine("flows.archive")
