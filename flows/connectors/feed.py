"""Feeds as a Bytewax source, and the sink that produces their messages."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from flows.connectors.kafka.client import idempotent_config, produce_all, undelivered
from flows.errors import BrokerError, VoltickError
from flows.feeds.base import Feed, Frame
from flows.feeds.pacing import Pacing

Outgoing = list[tuple[str, list[tuple[bytes, bytes]]]]
"""Topic, and its messages as key and value."""

# How long the broker may take nothing, once the flow is to end; well below the limit of a stop.
SILENCE_LIMIT_S = 4.0
# What waits for a slow broker is bounded: then no frame is taken, and the feeds' queues fill.
_QUEUE_MESSAGES = 100_000
_QUEUE_KBYTES = 64 * 1024
_NEVER_MS = 0
_FLUSH_S = 0.5
_SILENCE_S = 0.3
"""A silence of a feed is told once it has lasted this long: what waits for a frame waits less."""


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Frames of one poll, in order, and the feed that they came from, with its name.

    It has no frames where the feed has fallen silent, so that what waits for more can be settled,
    and where it has ended (``last``).
    """

    name: str
    frames: list[Frame]
    loop_number: int
    feed: Feed
    last: bool = False


class FeedSource(FixedPartitionedSource[FrameBatch, None]):
    """Source of some feeds, each read by one worker of the whole cluster.

    Delivery: at most once, from the moment of opening on. Polling never blocks; opening does.
    Nothing is resumed: what a live venue sent between two connections is lost (and marked as a gap
    within a run), and a replay starts over.

    Parameters
    ----------
    feeds
        What opens each feed, by its name; called once, in the worker that reads it.
    max_frames
        Most frames in one item.
    stop
        Once set, the source ends. A feed that fails sets it, and so ends the others too.
    failed
        Called when the feed cannot be opened or cannot go on; the source then ends, so that earlier
        frames are still delivered. (An exception here would make the engine panic.)
    spacing_us
        See :class:`flows.feeds.pacing.Pacing`.
    """

    def __init__(
        self,
        feeds: Mapping[str, Callable[[], Feed]],
        max_frames: int,
        stop: threading.Event,
        failed: Callable[[VoltickError], None],
        spacing_us: float = 0.0,
    ) -> None:
        self._feeds = feeds
        self._max_frames = max_frames
        self._stop = stop
        self._failed = failed
        self._spacing_us = spacing_us

    def list_parts(self) -> list[str]:
        """Return the names of the feeds."""
        return list(self._feeds)

    def build_part(
        self,
        step_id: str,  # noqa: ARG002  # names are the engine's
        for_part: str,
        resume_state: None,  # noqa: ARG002
    ) -> StatefulSourcePartition[FrameBatch, None]:
        """Open the feed."""
        try:
            feed = self._feeds[for_part]()
        except VoltickError as error:
            self._fail(error)
            feed = None
        pacing = Pacing(self._spacing_us)
        return _FeedPartition(for_part, feed, self._max_frames, self._stop, self._fail, pacing)

    def _fail(self, error: VoltickError) -> None:
        self._failed(error)
        self._stop.set()


class _FeedPartition(StatefulSourcePartition[FrameBatch, None]):
    """Polls the feed, without blocking."""

    def __init__(
        self,
        name: str,
        feed: Feed | None,
        max_frames: int,
        stop: threading.Event,
        failed: Callable[[VoltickError], None],
        pacing: Pacing,
    ) -> None:
        self._name = name
        self._feed = feed
        self._max_frames = max_frames
        self._stop = stop
        self._failed = failed
        self._pacing = pacing
        self._ended = False
        self._silent_from_s: float | None = None

    def next_batch(self) -> list[FrameBatch]:
        if self._feed is None or self._ended:
            raise StopIteration
        if self._stop.is_set():
            return [*self._rest(self._feed), *self._last(self._feed)]
        if self._pacing.wait_s:
            return []
        try:
            frames = self._feed.poll(self._max_frames)
        except VoltickError as error:
            self._failed(error)
            return self._last(self._feed)
        if frames:
            self._pacing.note_turn()
            self._silent_from_s = time.monotonic() + _SILENCE_S
            return [FrameBatch(self._name, frames, self._feed.loop_number, self._feed)]
        if self._feed.finished:
            return self._last(self._feed)
        if self._silent_from_s is not None and time.monotonic() >= self._silent_from_s:
            self._silent_from_s = None
            return [FrameBatch(self._name, [], self._feed.loop_number, self._feed)]
        return []

    def _rest(self, feed: Feed) -> list[FrameBatch]:
        """Return what a live feed has received and what waits; other feeds wait for nobody."""
        waiting: int = getattr(feed, "queued", 0)
        try:
            frames = feed.poll(waiting) if waiting else []
        except VoltickError as error:
            self._failed(error)
            return []
        return [FrameBatch(self._name, frames, feed.loop_number, feed)] if frames else []

    def _last(self, feed: Feed) -> list[FrameBatch]:
        self._ended = True
        return [FrameBatch(self._name, [], feed.loop_number, feed, last=True)]

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()


class TickProducer:
    """Idempotent producer that waits for all replicas; symbols are spread by murmur2 of the key.

    Java clients spread keys in the same way, so ticks of a symbol from another producer reach the
    same partition.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    stop
        Once set, a broker that takes nothing is waited for no longer than ``silence_limit_s``.
    silence_limit_s
        How long the broker may take nothing, once the flow is to end.

    Raises
    ------
    BrokerError
        From any method, once a delivery has failed for good.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        stop: threading.Event | None = None,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self._config = config
        self._stop = stop or threading.Event()
        self._silence_limit_s = silence_limit_s
        self._failed: str | None = None
        options: dict[str, Any] = idempotent_config(
            # A broker that is away for long is waited for; what a feed cannot keep is a gap then.
            {"message.timeout.ms": _NEVER_MS, **config},
            acks="all",
            partitioner="murmur2",
            compression_type="lz4",
            linger_ms=2,
            queue_buffering_max_messages=_QUEUE_MESSAGES,
            queue_buffering_max_kbytes=_QUEUE_KBYTES,
            delivery_report_only_error=True,
        )
        options["on_delivery"] = self._delivered
        self._producer = Producer(options)

    def produce(self, topic: str, messages: list[tuple[bytes, bytes]]) -> None:
        """Queue messages, given as key and value, in order; wait where the queue is full."""
        silence = _Silence(self._config, self._silence_limit_s)

        def check() -> None:
            self._check()
            if self._stop.is_set():
                silence.look(len(self._producer))

        try:
            produce_all(self._producer, topic, messages, check)
        except KafkaException as error:
            self._producer.poll(0)
            self._check()  # the first that failed says why a client takes no more
            message = f"cannot produce to {topic}: {error.args[0].str()}"
            raise BrokerError(message) from None
        self._check()

    def flush(self) -> None:
        """Return once everything is delivered, or the broker has taken nothing for too long."""
        silence = _Silence(self._config, self._silence_limit_s)
        while left := self._producer.flush(_FLUSH_S):
            self._check()
            silence.look(left)
        self._check()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = undelivered(error, message.topic())

    def _check(self) -> None:
        if self._failed is not None:
            message = f"a message was not delivered {self._failed}; nothing more is sent"
            raise BrokerError(message)


class _Silence:
    """How long a queue has not become shorter."""

    def __init__(self, config: Mapping[str, str | int], limit_s: float) -> None:
        self._config = config
        self._limit_s = limit_s
        self._least: int | None = None
        self._moved_s = time.monotonic()

    def look(self, left: int) -> None:
        """Note how many messages are left; raise :class:`BrokerError` after too long a silence."""
        now_s = time.monotonic()
        if self._least is None or left < self._least:
            self._least, self._moved_s = left, now_s
        elif now_s - self._moved_s > self._limit_s:
            message = (
                f"{left} messages were not delivered: the broker at"
                f" {self._config.get('bootstrap.servers')} took nothing for {self._limit_s:g} s"
            )
            raise BrokerError(message)


class ProducerSink(DynamicSink[Outgoing]):
    """Sink of messages by topic; each worker has a producer of its own.

    Delivery: at least once; every message that was handed over is delivered, or the process ends.
    Writing blocks while the producer's queue is full.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    ended
        Called with the error when a delivery fails, or with None once the input has ended and all
        is delivered.
    stop
        See :class:`TickProducer`.
    """

    def __init__(
        self,
        config: Mapping[str, str | int],
        ended: Callable[[BrokerError | None], None],
        stop: threading.Event | None = None,
    ) -> None:
        self._config = config
        self._ended = ended
        self._stop = stop

    def build(
        self,
        step_id: str,  # noqa: ARG002  # names are the engine's
        worker_index: int,  # noqa: ARG002
        worker_count: int,  # noqa: ARG002
    ) -> StatelessSinkPartition[Outgoing]:
        """Make the worker's producer."""
        return _ProducerPartition(TickProducer(self._config, self._stop), self._ended)


class _ProducerPartition(StatelessSinkPartition[Outgoing]):
    def __init__(self, producer: TickProducer, ended: Callable[[BrokerError | None], None]) -> None:
        self._producer = producer
        self._ended = ended

    def write_batch(self, items: list[Outgoing]) -> None:
        try:
            for item in items:
                for topic, messages in item:
                    self._producer.produce(topic, messages)
        except BrokerError as error:
            self._ended(error)

    def close(self) -> None:
        try:
            self._producer.flush()
        except BrokerError as error:
            self._ended(error)
        else:
            self._ended(None)
