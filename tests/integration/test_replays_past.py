"""A recording with a past: what precedes is sent at full speed, and the page says what it shows."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.numeric.time import NS_PER_S
from tests.support.answers import answer_of
from tests.support.frames import RECEIVED_NS, exchange_ticker, write_capture
from tests.support.polling import free_ports, until
from tests.support.processes import Process

PAST_S = 400
FRAMES = 1_000  # more than play while the test looks


def frame(number: int) -> str:
    """Return a ticker message of the moment at which it is received."""
    at = datetime.fromtimestamp(RECEIVED_NS / NS_PER_S + number, UTC)
    return exchange_ticker(number, time=at.isoformat().replace("+00:00", "Z"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_past_of_a_recording_is_there_at_once_and_is_called_recorded(tmp_path: Path) -> None:
    frames = [frame(number) for number in range(FRAMES)]
    recording = write_capture(tmp_path / "day.ndjson.gz", frames)
    [port] = free_ports(1)
    settings = {"VOLTICK_API_PORT": str(port), "VOLTICK_MODEL_STORE": str(tmp_path / "models")}
    paced = ["--speed", "1", "--start-at", str(PAST_S)]
    command = ["-m", "flows.local", "--feed", f"replay:{recording}", *paced, "--no-train"]
    with Process(command, tmp_path, settings) as process:

        def newest() -> dict:
            assert process.running, process.tail()
            return answer_of(port, "/scores/BTC-USD")

        def played_s() -> float:
            return (newest().get("ts_event_ns", 0) - RECEIVED_NS) / NS_PER_S

        until(lambda: played_s() > PAST_S - 10, "the end of the past", 120)
        assert newest()["warm"]
        assert newest()["event_age_ms"] > 86_400_000
        version = answer_of(port, "/version")
        assert (version["replay"], version["simulated"]) == (True, False)
        assert version["history"] == {
            "origin": "recorded",
            "from_ns": RECEIVED_NS,
            "until_ns": RECEIVED_NS + PAST_S * NS_PER_S,
        }

        def chart() -> list[int]:
            answer = answer_of(port, "/series/BTC-USD?seconds=900")
            return answer["columns"]["ts_s"] if answer.get("complete") else []

        seconds = until(chart, "the whole chart", 60)
        first_s = RECEIVED_NS // NS_PER_S
        assert seconds[: PAST_S - 10] == list(range(first_s, first_s + PAST_S - 10))
        # What follows comes at the pace at which it was recorded.
        before_s = played_s()
        until(lambda: played_s() > max(before_s, PAST_S) + 2, "live ticks", 60)
        assert played_s() < FRAMES - 1
