import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from flows.errors import CaptureError
from flows.feeds import recordings
from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader, CaptureWriter, Header
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import MAX_PAUSE_S, ReplayFeed
from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.unit.feeds.support import decoded, frame


@pytest.fixture(autouse=True)
def readers_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test has left open in the middle of a recording."""
    opened: list[CaptureReader] = []

    def reader(path: Path) -> CaptureReader:
        opened.append(CaptureReader(path))
        return opened[-1]

    monkeypatch.setattr(recordings, "CaptureReader", reader)
    yield
    for each in opened:
        each.close()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, frames: list[Frame], venue: str = "coinbase-exchange") -> Path:
    with CaptureWriter(path, Header(format="frames/1", venue=venue)) as writer:
        for each in frames:
            writer.write(each)
    return path


def ticker(trade_id: int, second: int, recv_ns: int | None) -> Frame:
    message = {
        "type": "ticker",
        "product_id": "BTC-USD",
        "price": "100",
        "time": f"2023-11-14T22:13:{second:02d}Z",
        "trade_id": trade_id,
        "sequence": 10 * trade_id,
    }
    return frame(message, recv_ns)


def texts(frames: list[Frame]) -> list[str]:
    return [each.text for each in frames]


def test_at_full_speed_everything_comes_at_once_in_order(tmp_path: Path) -> None:
    frames = [Frame(i * 3600 * NS_PER_S, str(i)) for i in range(10)]
    feed = ReplayFeed(write(tmp_path / "x.gz", frames))
    assert feed.poll(4) == frames[:4]
    assert feed.poll(100) == frames[4:]
    assert not feed.finished
    assert feed.poll(100) == []
    assert feed.finished
    assert feed.poll(100) == []


def test_recorded_spacing_is_kept_or_divided(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [Frame(i * 2 * NS_PER_S, str(i)) for i in range(4)])
    for speed in (1.0, 4.0):
        clock = Clock()
        feed = ReplayFeed(path, speed=speed, clock=clock)
        assert texts(feed.poll(9)) == ["0"]
        clock.now += 1.9 / speed
        assert feed.poll(9) == []
        clock.now += 0.2 / speed
        assert texts(feed.poll(9)) == ["1"]
        assert feed.poll(9) == []
        clock.now += 4.0 / speed
        assert texts(feed.poll(1)) == ["2"]
        assert texts(feed.poll(9)) == ["3"]


def test_what_lies_before_the_start_comes_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [Frame(i * 2 * NS_PER_S, str(i)) for i in range(5)])
    clock = Clock()
    feed = ReplayFeed(path, speed=2.0, from_s=5.0, clock=clock)
    assert texts(feed.poll(9)) == ["0", "1", "2"]  # and one second of the pause after it
    clock.now += 0.4
    assert feed.poll(9) == []
    clock.now += 0.2
    assert texts(feed.poll(9)) == ["3"]
    clock.now += 1.0
    assert texts(feed.poll(9)) == ["4"]


def test_a_second_loop_has_no_start_before_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [Frame(i * NS_PER_S, str(i)) for i in range(2)])
    clock = Clock()
    feed = ReplayFeed(path, speed=1.0, loop=True, from_s=60.0, clock=clock)
    assert texts(feed.poll(9)) == ["0", "1"]
    assert texts(feed.poll(9)) == ["0"]
    assert feed.poll(9) == []


def test_a_late_poll_does_not_shift_what_follows(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [Frame(i * NS_PER_S, str(i)) for i in range(10)])
    clock = Clock()
    feed = ReplayFeed(path, speed=1.0, clock=clock)
    feed.poll(9)
    clock.now += 5.5
    assert len(feed.poll(9)) == 5
    clock.now += 0.6
    assert texts(feed.poll(9)) == ["6"]


def test_frames_without_a_receive_time_come_with_the_one_before(tmp_path: Path) -> None:
    times = [None, 0, None, NS_PER_S, None]
    path = write(tmp_path / "x.gz", [Frame(ts, str(i)) for i, ts in enumerate(times)])
    clock = Clock()
    feed = ReplayFeed(path, speed=1.0, clock=clock)
    assert texts(feed.poll(9)) == ["0", "1", "2"]
    clock.now += 1.0
    assert texts(feed.poll(9)) == ["3", "4"]


def test_a_long_silence_is_not_waited_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [Frame(0, "0"), Frame(100_000 * NS_PER_S, "1")])
    clock = Clock()
    feed = ReplayFeed(path, speed=1.0, clock=clock)
    feed.poll(9)
    clock.now += MAX_PAUSE_S - 0.1
    assert feed.poll(9) == []
    clock.now += 0.2
    assert texts(feed.poll(9)) == ["1"]


def test_receive_times_that_step_back_are_not_waited_for(tmp_path: Path) -> None:
    frames = [Frame(5 * NS_PER_S, "0"), Frame(3 * NS_PER_S, "1"), Frame(6 * NS_PER_S, "2")]
    clock = Clock()
    feed = ReplayFeed(write(tmp_path / "x.gz", frames), speed=1.0, clock=clock)
    assert texts(feed.poll(9)) == ["0", "1"]
    clock.now += 1.0
    assert texts(feed.poll(9)) == ["2"]


def test_duration_ends_the_replay(tmp_path: Path) -> None:
    clock = Clock()
    path = write(tmp_path / "x.gz", [Frame(i * NS_PER_S, str(i)) for i in range(9)])
    feed = ReplayFeed(path, speed=1.0, loop=True, duration_s=2.5, clock=clock)
    feed.poll(9)
    clock.now += 2.4
    assert texts(feed.poll(9)) == ["1", "2"]
    clock.now += 0.2
    assert feed.poll(9) == []
    assert feed.finished


def loops(path: Path, count: int) -> tuple[list[Tick], FrameProcessor]:
    feed = ReplayFeed(path, loop=True)
    processor = FrameProcessor(feed.parser())
    processor.track_loops()
    made: list[Tick] = []
    while feed.loop_number < count:
        frames = feed.poll(3)
        if feed.loop_number < count:
            made += decoded(processor.process(frames, feed.loop_number))
    feed.close()
    return made, processor


def test_looping_goes_on_with_rising_times_and_ids_and_a_gap_at_each_seam(tmp_path: Path) -> None:
    frames = [ticker(7 + i, i, 1_700_000_000 * NS_PER_S + i * NS_PER_S + 5) for i in range(4)]
    made, processor = loops(write(tmp_path / "x.gz", frames), 3)
    assert [tick.trade_id for tick in made] == [7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20]
    assert [tick.gap for tick in made] == [i in (4, 8) for i in range(12)]
    seconds = [(tick.ts_event_ns - made[0].ts_event_ns) / NS_PER_S for tick in made]
    assert seconds == list(range(12))
    delays = {tick.ts_recv_ns - tick.ts_event_ns for tick in made if tick.ts_recv_ns is not None}
    assert len(delays) == 1
    assert processor.counts.frames == 12
    assert processor.counts.repeats == 0


def test_looping_without_receive_times_uses_event_times_after_the_first_lap(tmp_path: Path) -> None:
    frames = [ticker(7 + i, i, None) for i in range(2)]
    made, _ = loops(write(tmp_path / "x.gz", frames), 2)
    assert [tick.ts_recv_ns for tick in made[:2]] == [None, None]
    assert [tick.ts_recv_ns for tick in made[2:]] == [tick.ts_event_ns for tick in made[2:]]


def test_looping_an_empty_recording_ends(tmp_path: Path) -> None:
    feed = ReplayFeed(write(tmp_path / "x.gz", []), loop=True)
    assert feed.poll(5) == []
    assert feed.finished


def test_a_subscription_to_trades_is_seen_before_the_ticker_frames_that_precede_it(
    tmp_path: Path,
) -> None:
    entry = {"product_id": "BTC-USD", "price": "1"}
    event = {"subscriptions": {"market_trades": ["BTC-USD"]}}
    base = {"timestamp": "2023-11-14T22:13:20Z", "sequence_num": 0}
    frames = [frame(base | {"channel": "ticker", "events": [{"tickers": [entry]}]}, i * NS_PER_S)
              for i in range(20)]  # fmt: skip
    frames.append(frame(base | {"channel": "subscriptions", "events": [event]}, 20 * NS_PER_S))
    feed = ReplayFeed(write(tmp_path / "x.gz", frames, "coinbase-advanced"))
    processor = FrameProcessor(feed.parser())
    processor.process(feed.poll(100))
    assert (processor.counts.ticks, processor.counts.control) == (0, 21)


def test_an_unknown_venue_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", [], venue="kraken")
    with pytest.raises(CaptureError, match=r"'kraken'.*binance, coinbase-advanced"):
        ReplayFeed(path)


def test_a_recording_that_breaks_off_plays_what_it_has(tmp_path: Path) -> None:
    frames = [Frame(i, json.dumps({"type": "x", "n": i * 7919 % 10007})) for i in range(60_000)]
    data = write(tmp_path / "x.gz", frames).read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(data[:-1000])
    feed = ReplayFeed(cut)
    got: list[Frame] = []
    with structlog.testing.capture_logs() as logs:
        while not feed.finished:
            got += feed.poll(10_000)
    assert len(got) > 59_000
    assert got == frames[: len(got)]
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_a_recording_that_breaks_off_in_its_opening_plays_what_it_has(tmp_path: Path) -> None:
    frames = [Frame(i, "{}") for i in range(20)]
    path = write(tmp_path / "x.ndjson", frames)
    path.write_text(path.read_text()[:-5])
    feed = ReplayFeed(path)
    assert feed.poll(1_000) == frames[:-1]
    assert feed.poll(1_000) == []
    assert feed.finished


def test_a_lost_line_of_a_recording_is_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ndjson", [ticker(7 + i, i, i * NS_PER_S) for i in range(6)])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], "damaged\n", *lines[4:]]))
    feed = ReplayFeed(path)
    made = decoded(FrameProcessor.of(feed).process(feed.poll(99)))
    feed.close()
    assert [(tick.trade_id, tick.gap) for tick in made] == [
        (7, False), (8, False), (10, True), (11, False), (12, False),
    ]  # fmt: skip


def test_simulated_recordings_are_known_as_such(tmp_path: Path) -> None:
    assert ReplayFeed(write(tmp_path / "x.gz", [], "simulator")).simulated
    assert not ReplayFeed(write(tmp_path / "y.gz", [])).simulated
