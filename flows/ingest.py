"""Feeds to ``ticks.raw``: ``python -m bytewax.run flows.ingest``.

Frames that cannot be used go to ``dead.letters``. Runs until it is stopped, or until a replay ends.
"""

import threading
import time
from functools import partial

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow

from flows.connectors.feed import FeedSource, FrameBatch, Outgoing, ProducerSink
from flows.connectors.kafka.admin import batch_limit, ensure_topics
from flows.connectors.kafka.permissions import require_allowed
from flows.errors import ConfigurationError, VoltickError
from flows.feeds.processor import MAX_FRAMES
from flows.monitoring.dead_letters import DeadLetterWatch
from flows.monitoring.ingest_metrics import IngestMetrics, health_of
from flows.runtime.chart_backfill import start_chart_backfill
from flows.runtime.exactly_once import launch
from flows.runtime.feeds import feeds_of
from flows.runtime.metrics import serve_metrics
from flows.runtime.open_feeds import OpenFeeds
from flows.runtime.process import end_on_error, end_process, refuse_without_engine
from flows.settings import Settings
from schemas import topics

REPORT_S = 60.0


def flow() -> Dataflow:
    """Build the dataflow from the environment, once the broker has answered."""
    return launch(build)


def build(settings: Settings, stop: threading.Event) -> Dataflow:
    """Build the dataflow, creating the topics that are missing.

    Parameters
    ----------
    settings
        Broker and feeds.
    stop
        Once set, the feeds are closed, what they sent is delivered, and the flow ends.

    Raises
    ------
    ConfigurationError
        No broker is configured.
    BrokerError
        The broker does not answer, or its topics do not fit together.
    FeedError
        The feeds and their symbols do not fit together.
    """
    if settings.kafka_bootstrap_servers is None:
        message = (
            "ingest needs a broker: set KAFKA_BOOTSTRAP_SERVERS, or run"
            " `python -m bytewax.run flows.pipeline`, which brings its own broker and feed"
        )
        raise ConfigurationError(message)
    kafka = settings.kafka_config()
    ensure_topics(kafka, topics.ALL, settings.partitions, settings.replication_factor)
    written = (topics.TICKS_RAW, topics.DEAD_LETTERS)
    require_allowed(kafka, writes=written)
    producer = {**kafka, "batch.size": batch_limit(kafka, written)}
    # By the all-in-one run that set it.
    told = settings.live_from_ns is not None and not settings.replays
    opened = OpenFeeds(loops=settings.replay_loop, told=told)
    feeds = {
        name: partial(opened.open, name, open_feed)
        for name, open_feed in feeds_of(settings).items()
    }
    serve_metrics(
        IngestMetrics(opened.figures),
        settings,
        "ingest",
        lambda: health_of(opened.figures(), settings.stale_after_s),
    )
    start_chart_backfill(settings, stop)
    parse = _Parse(opened)
    ending = _Ending(parse)
    dataflow = Dataflow("voltick-ingest")
    source = FeedSource(feeds, MAX_FRAMES, stop, ending.feed_failed, settings.feed_spacing_us)
    frames = op.input("feeds", dataflow, source)
    messages = op.map("parse", frames, end_on_error(parse))
    op.output("ticks", messages, ProducerSink(producer, ending.delivered, stop))
    return dataflow


class _Parse:
    """Turn frames into messages, in the worker that reads their feed; log the counts."""

    def __init__(self, feeds: OpenFeeds) -> None:
        self._feeds = feeds
        self._dead_letters = DeadLetterWatch(lambda _rate: None)
        self._reported_s = time.monotonic()

    def __call__(self, batch: FrameBatch) -> Outgoing:
        processor = self._feeds.processor(batch.name, frames=len(batch.frames))
        dead_before = processor.dead_by_reason.copy()
        if batch.last:
            messages = processor.finish()
        else:
            messages = processor.process(batch.frames, batch.loop_number)
        if messages.dead:
            self._dead_letters.note(processor.dead_by_reason - dead_before)
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            self.report("ingested so far")
        return [(topics.TICKS_RAW, messages.ticks), (topics.DEAD_LETTERS, messages.dead)]

    def report(self, event: str) -> None:
        """Log the counts and the clock's offset of each feed that has brought frames."""
        for name, counts in self._feeds.counts().items():
            structlog.get_logger().info(event, feed=name, **counts)


class _Ending:
    """End the process when the feed or a delivery has failed."""

    def __init__(self, parse: _Parse) -> None:
        self._parse = parse
        self._error: VoltickError | None = None

    def feed_failed(self, error: VoltickError) -> None:
        """Remember why the input ended; what came before is delivered first."""
        self._error = self._error or error

    def delivered(self, error: VoltickError | None) -> None:
        """End the process if delivery or feed failed."""
        self._parse.report("feed ended")
        reason = error or self._error
        if reason is not None:
            end_process(reason)


if __name__ == "__main__":
    refuse_without_engine("flows.ingest")
