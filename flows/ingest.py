"""Feeds to ``ticks.raw``: ``python -m bytewax.run flows.ingest``.

Frames that cannot be used go to ``dead.letters``. Runs until it is stopped, or until a replay ends.
"""

import dataclasses
import threading
import time
from functools import partial

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow

from flows.connectors.feed import FeedSource, FrameBatch, Outgoing, ProducerSink
from flows.connectors.kafka.admin import ensure_topics
from flows.errors import ConfigurationError, VoltickError
from flows.feeds.base import Feed
from flows.feeds.plan import OpenFeed
from flows.feeds.processor import MAX_FRAMES, FrameProcessor
from flows.runtime.exactly_once import launch
from flows.runtime.feeds import feeds_of
from flows.runtime.process import end_on_error, end_process
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
    feeds = {name: partial(_announced, open_feed) for name, open_feed in feeds_of(settings).items()}
    parse = _Parse(loops=settings.replay_loop)
    ending = _Ending(parse)
    dataflow = Dataflow("voltick-ingest")
    source = FeedSource(feeds, MAX_FRAMES, stop, ending.feed_failed, settings.feed_spacing_us)
    frames = op.input("feeds", dataflow, source)
    messages = op.map("parse", frames, end_on_error(parse))
    op.output("ticks", messages, ProducerSink(kafka, ending.delivered, stop))
    return dataflow


def _announced(open_feed: OpenFeed) -> Feed:
    """Open a feed and say which it is."""
    feed = open_feed()
    log = structlog.get_logger()
    if feed.simulated:
        log.warning("SIMULATED: these ticks are made up", feed=feed.name)
    else:
        log.info("feed opened", feed=feed.name)
    return feed


class _Parse:
    """Turn frames into messages, in the worker that reads their feed; log the counts."""

    def __init__(self, *, loops: bool) -> None:
        self._loops = loops
        self._processors: dict[str, FrameProcessor] = {}
        self._reported_s = time.monotonic()

    def __call__(self, batch: FrameBatch) -> Outgoing:
        processor = self._processors.get(batch.name)
        if processor is None:
            processor = self._processors[batch.name] = FrameProcessor.of(batch.feed)
            if self._loops:
                processor.track_loops()
        if batch.last:
            messages = processor.finish()
        else:
            messages = processor.process(batch.frames, batch.loop_number)
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            self.report("ingested so far")
        return [(topics.TICKS_RAW, messages.ticks), (topics.DEAD_LETTERS, messages.dead)]

    def report(self, event: str) -> None:
        """Log the counts and the clock's offset of each feed that this worker has read."""
        for name, processor in self._processors.items():
            counts = dataclasses.asdict(processor.counts)
            offset_s = processor.clock_offset_s
            clock = {} if offset_s is None else {"clock_offset_s": offset_s}
            structlog.get_logger().info(event, feed=name, **counts, **clock)


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
