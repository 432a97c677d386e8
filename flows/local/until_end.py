"""A run until the end of its feed: send it, let the dataflow score it, count the outputs."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import structlog

from flows.connectors.kafka.admin import ensure_topics
from flows.errors import ConfigurationError
from flows.feeds.base import Feed
from flows.feeds.pacing import Pacing
from flows.feeds.processor import FrameProcessor, Messages, run_feed
from flows.local.child import ChildEndedError
from flows.local.launcher import announce, explain, start_servers
from flows.local.output_count import end_offsets, read_outputs, wait_committed
from flows.local.programs import start_api, start_pipeline
from flows.local.progress import Progress
from flows.local.sender import Sender
from flows.local.summary import DeadLetterLine, FeedCount, RunSummary, Tally
from flows.local.supervisor import Supervisor
from flows.runtime.feeds import feeds_of
from flows.settings import Settings
from schemas import topics
from schemas.feeds import REPLAY_PREFIX


def require_end(settings: Settings, duration_s: float | None) -> None:
    """Refuse to wait for the end of a feed that has none.

    Raises
    ------
    ConfigurationError
    """
    endless = not settings.feed.startswith(REPLAY_PREFIX) or settings.replay_loop
    if endless and duration_s is None:
        what = "a replay with --loop" if settings.replay_loop else f"the feed {settings.feed!r}"
        message = f"{what} has no end; with --until-end give --duration or replay a file once"
        raise ConfigurationError(message)


def open_from(settings: Settings) -> Feed:
    """Open the feed that the settings name.

    Raises
    ------
    FeedError, CaptureError
        It is unknown, unreachable or unreadable.
    ConfigurationError
        The settings name several.
    """
    opens = list(feeds_of(settings).values())
    if len(opens) != 1:
        message = f"--until-end runs one connection, and {settings.feed} needs {len(opens)}"
        raise ConfigurationError(message)
    return opens[0]()


def run_until_end(
    settings: Settings,
    feed: Feed,
    supervisor: Supervisor,
    *,
    duration_s: float | None = None,
    api: bool = False,
    progress: Progress,
) -> RunSummary:
    """Send everything the feed has, wait until the last tick is scored, and count.

    The dataflow is the real one, in a process of its own.

    Raises
    ------
    VoltickError
        The broker, the feed or the dataflow fails, or the outputs do not add up.
    """
    served = start_servers(settings, supervisor)
    config = served.kafka_config()
    ensure_topics(config, topics.ALL, served.partitions, served.replication_factor)
    start = end_offsets(config, (topics.PREDICTIONS, topics.DEAD_LETTERS))
    start_pipeline(served, supervisor)
    if api:
        start_api(served, supervisor)
    announce(settings, served, api=api)

    sender = Sender(config)
    ingest = FrameProcessor(feed.parser(), marked=feed.marked)  # its broker knows no ticks before
    if settings.replay_loop:
        ingest.track_loops()
    began = time.monotonic()
    stop = threading.Event()

    def check(left: int) -> None:
        ended = supervisor.wait(0)
        if ended is not None:
            raise ChildEndedError(explain(ended))
        progress.show(ingest.counts.ticks, left)

    with _stopping_after(duration_s, stop):
        count = _send(feed, ingest, sender, stop, check, Pacing(served.feed_spacing_us))
    wait_committed(config, served.group, count.end, check)
    seconds = time.monotonic() - began
    tally = Tally(count)
    read_outputs(config, start, tally)
    summary = tally.summary(seconds)
    for complaint in tally.complaints():
        structlog.get_logger().warning(complaint)
    return summary


@contextmanager
def _stopping_after(duration_s: float | None, stop: threading.Event) -> Iterator[None]:
    if duration_s is None:
        yield
        return
    timer = threading.Timer(duration_s, stop.set)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _send(
    feed: Feed,
    ingest: FrameProcessor,
    sender: Sender,
    stop: threading.Event,
    check: Callable[[int], None],
    pacing: Pacing,
) -> FeedCount:
    """Move the feed's messages to the broker; return what was sent and where it landed."""
    reasons: Counter[str] = Counter()
    dead_letter = msgspec.json.Decoder(DeadLetterLine).decode

    def produce(messages: Messages) -> None:
        reasons.update(dead_letter(value).reason for _key, value in messages.dead)
        sender.send(messages)
        check(0)

    counts = run_feed(feed, ingest, produce, stop, pacing=pacing)
    count = FeedCount(
        frames=counts.frames,
        tick_frames=counts.tick_frames,
        control=counts.control,
        dead_frames=counts.dead_frames,
        dead_letters=counts.dead_letters,
        reasons=reasons,
    )
    foreign = sender.finish(count, lambda: check(0))
    if foreign:
        structlog.get_logger().warning(
            "others write to ticks.raw too; their ticks among ours are counted", foreign=foreign
        )
    return count
