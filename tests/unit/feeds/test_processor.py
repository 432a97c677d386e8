import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from flows.errors import FeedError
from flows.feeds.base import Frame, ParsedFrame, Parser, broken
from flows.feeds.pacing import Pacing
from flows.feeds.processor import MAX_PAYLOAD_BYTES, FrameProcessor, Messages, run_feed
from schemas.ticks import Tick
from tests.unit.feeds.support import decoded, letters


def tick(trade_id: int | None = None, **changes: object) -> Tick:
    made = Tick(symbol="BTC-USD", venue="v", ts_event_ns=1, price=1.0, trade_id=trade_id)
    return msgspec.structs.replace(made, **changes)


class Scripted:
    """A parser that returns what it is told."""

    venue = "v"

    def __init__(self, *results: ParsedFrame) -> None:
        self._results: Iterator[ParsedFrame] = iter(results)

    def parse(self, frame: Frame) -> ParsedFrame:
        return next(self._results)


class FakeFeed:
    """A feed of given polls; the last one may be an error."""

    name = venue = "v"
    simulated = False
    loop_number = 0

    def __init__(self, *polls: int | Exception) -> None:
        self._polls = list(polls)
        self.finished = False

    def parser(self) -> Parser:
        return Scripted(*(ParsedFrame([tick(i)]) for i in range(100)))

    def poll(self, max_frames: int) -> list[Frame]:
        if not self._polls:
            self.finished = True
            return []
        count = self._polls.pop(0)
        if isinstance(count, Exception):
            raise count
        return [Frame(1, "")] * count

    def close(self) -> None:
        self.finished = True


BAD = broken("v", "x", "bad")


def test_frames_are_tick_frames_dead_frames_or_control() -> None:
    processor = FrameProcessor(
        Scripted(
            ParsedFrame([tick(1), tick(2)]),
            ParsedFrame([tick(3)], [BAD]),
            ParsedFrame(dead=[BAD, BAD]),
            ParsedFrame(),
            ParsedFrame(warning="?"),
        )
    )
    messages = processor.process([Frame(1, "")] * 5)
    counts = processor.counts
    assert (counts.frames, counts.tick_frames, counts.control, counts.dead_frames) == (5, 2, 2, 1)
    assert (counts.ticks, counts.dead_letters) == (3, 3)
    assert [made.trade_id for made in decoded(messages)] == [1, 2, 3]
    assert letters(messages) == [BAD] * 3


def test_a_frame_of_repeats_alone_stays_a_tick_frame() -> None:
    processor = FrameProcessor(
        Scripted(ParsedFrame([tick(1)]), ParsedFrame([tick(1)], reconnected=True))
    )
    messages = processor.process([Frame(1, "")] * 2)
    assert len(messages.ticks) == 1
    assert (processor.counts.tick_frames, processor.counts.repeats) == (2, 1)


def test_messages_are_keyed_by_symbol() -> None:
    processor = FrameProcessor(Scripted(ParsedFrame([tick(1), tick(1, symbol="É-USD")])))
    messages = processor.process([Frame(1, "")])
    assert [key.decode() for key, _ in messages.ticks] == ["BTC-USD", "É-USD"]


def test_a_dead_letter_too_large_for_a_broker_is_cut_and_says_so() -> None:
    huge = broken("v", b"x" * (MAX_PAYLOAD_BYTES + 7), "huge")
    messages = FrameProcessor(Scripted(ParsedFrame(dead=[huge]))).process([Frame(1, "")])
    [letter] = letters(messages)
    assert len(letter.payload) == MAX_PAYLOAD_BYTES
    assert letter.detail == f"huge (first {MAX_PAYLOAD_BYTES} of {MAX_PAYLOAD_BYTES + 7} bytes)"
    assert len(messages.dead[0][1]) < 1_000_000


def test_pump_runs_until_the_feed_ends_and_counts() -> None:
    feed = FakeFeed(3, 0, 0, 4)
    sent: list[Messages] = []
    counts = run_feed(feed, FrameProcessor(feed.parser()), sent.append, threading.Event())
    assert [len(messages.ticks) for messages in sent] == [3, 4]
    assert counts.ticks == 7


def test_pump_polls_when_the_spacing_says_so_and_loses_nothing() -> None:
    feed = FakeFeed(3, 0, 2, 4)
    sent: list[Messages] = []
    began = time.monotonic()
    pacing = Pacing(20_000)
    counts = run_feed(
        feed, FrameProcessor(feed.parser()), sent.append, threading.Event(), pacing=pacing
    )
    # Two waits lie between three batches, and the end of the feed comes after a third.
    assert time.monotonic() - began >= 0.02 + 0.04 + 0.06
    assert [len(messages.ticks) for messages in sent] == [3, 2, 4]
    assert counts.ticks == 9


def test_pump_stops_when_told() -> None:
    feed = FakeFeed(*[1] * 50)
    stop = threading.Event()
    sent: list[Messages] = []

    def produce(messages: Messages) -> None:
        sent.append(messages)
        if len(sent) == 3:
            stop.set()

    assert run_feed(feed, FrameProcessor(feed.parser()), produce, stop).ticks == 3


def test_what_came_before_a_feeds_error_has_been_produced() -> None:
    feed = FakeFeed(2, FeedError("gone"))
    sent: list[Messages] = []
    with pytest.raises(FeedError, match="gone"):
        run_feed(feed, FrameProcessor(feed.parser()), sent.append, threading.Event())
    assert len(sent) == 1
