"""The host's clock against the venue's."""

import pytest
import structlog

from flows.feeds.base import Frame, ParsedFrame
from flows.feeds.clock import REPEAT_S, ClockWatch
from flows.feeds.processor import FrameProcessor
from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas.ticks import Tick

T0 = 1_700_000_000 * NS_PER_S
DELAYS_MS = (80, 250, 120, 900)


def watch(offset_s: float, seconds: int = 40, odd: dict[int, int] | None = None) -> ClockWatch:
    """Return a watch that was told of four messages a second.

    Parameters
    ----------
    odd
        Nanoseconds that are added to the sending time of the first message of some seconds.
    """
    clock = ClockWatch("v")
    for second in range(seconds):
        for number, delay_ms in enumerate(DELAYS_MS):
            sent_ns = T0 + second * NS_PER_S + number * 200 * NS_PER_MS
            received_ns = sent_ns + delay_ms * NS_PER_MS + int(offset_s * NS_PER_S)
            if number == 0 and odd:
                sent_ns += odd.get(second, 0)
            clock.note(received_ns, sent_ns)
    return clock


@pytest.mark.parametrize(
    ("offset_s", "said"),
    [
        pytest.param(0.0, None, id="right"),
        pytest.param(-0.3, None, id="a little behind"),
        pytest.param(1.5, None, id="as late as a bad line"),
        pytest.param(-5.0, "4.9 s behind the venue's", id="behind"),
        pytest.param(5.0, "5.1 s ahead of the venue's", id="ahead"),
        pytest.param(-3_600.0, "3599.9 s behind", id="an hour behind"),
        pytest.param(7_200.0, "7200.1 s ahead", id="two hours ahead"),
        pytest.param(-86_400.0 * 365, "31535999.9 s behind", id="a year behind"),
    ],
)
def test_a_wrong_clock_is_named_with_its_seconds_once(offset_s: float, said: str | None) -> None:
    with structlog.testing.capture_logs() as logs:
        clock = watch(offset_s)
    assert clock.offset_s == pytest.approx(offset_s + 0.08, abs=0.05)
    assert [entry["log_level"] for entry in logs] == ["warning"] * (said is not None)
    if said is not None:
        assert said in logs[0]["event"]
        assert logs[0]["clock_offset_s"] == pytest.approx(offset_s + 0.08, abs=0.05)


def test_single_messages_with_wrong_times_move_nothing() -> None:
    years = 3 * 365 * 86_400 * NS_PER_S
    with structlog.testing.capture_logs() as logs:
        clock = watch(0.0, odd={3: years, 9: -years, 20: years, 21: years})
    assert clock.offset_s == pytest.approx(0.08, abs=0.05)
    assert not logs


def test_nothing_is_said_before_some_seconds_have_passed() -> None:
    assert watch(-60.0, seconds=3).offset_s is None


def test_the_warning_comes_again_while_the_clock_is_wrong() -> None:
    with structlog.testing.capture_logs() as logs:
        watch(-5.0, seconds=2 * REPEAT_S + 60)
    assert len(logs) == 3


class _Parser:
    venue = "v"

    def __init__(self, *results: ParsedFrame) -> None:
        self._results = iter(results)

    def parse(self, frame: Frame) -> ParsedFrame:
        return next(self._results)


@pytest.mark.parametrize("live", [True, False])
def test_live_frames_are_compared_by_heartbeats_and_ticks(live: bool) -> None:
    results, frames = [], []
    for second in range(20):
        sent_ns = T0 + second * NS_PER_S
        tick = Tick(symbol="A", venue="v", ts_event_ns=sent_ns, price=1.0, trade_id=second + 1)
        results.append(ParsedFrame([tick]) if second % 2 else ParsedFrame(sent_ns=sent_ns))
        frames.append(Frame(sent_ns - 2 * NS_PER_S, ""))
    processor = FrameProcessor(_Parser(*results), live=live)
    processor.process(frames)
    assert processor.clock_offset_s == (-2.0 if live else None)
