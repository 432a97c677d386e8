"""The all-in-one commands come up, answer, and leave nothing behind."""

import signal
from pathlib import Path

import pytest
import redis

from schemas import topics
from tests.support.answers import answer_of
from tests.support.family import Family
from tests.support.polling import free_ports, until
from tests.support.processes import Process

COMMANDS = {
    "flow": ["-m", "bytewax.run", "flows.pipeline"],
    "local": ["-m", "flows.local"],
}


def newest(port: int) -> int:
    """Return the event time of the newest score of BTC-USD; 0 while there is none."""
    return int(answer_of(port, "/scores/BTC-USD").get("ts_event_ns", 0))


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_scores_advance_and_nothing_is_left_behind(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    family = Family()
    settings = {
        "VOLTICK_API_PORT": str(port),
        "VOLTICK_FEED": "simulate",
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        **family.settings,
    }
    with Process(COMMANDS[command], tmp_path, settings) as process:

        def advanced(beyond: int) -> int:
            assert process.running, process.tail()
            return max(0, newest(port) - beyond)

        first = until(lambda: advanced(0), "a score", 60)
        until(lambda: advanced(first), "a newer score", 30)
        assert f"http://127.0.0.1:{port}/" in process.stderr
        assert "SIMULATED" in process.stderr
        [feed] = family.members("flows.ingest")
        assert float(feed.environ()["VOLTICK_FEED_SPACING_US"]) > 0  # its broker is embedded
        for word in ("tansu", "valkey-server", "flows.pipeline", "-m serving", "reaper.py"):
            assert family.members(word), word
        process.popen.send_signal(number)
        code = process.wait_exit(60)
        assert code == (-9 if number == signal.SIGKILL else 128 + number)
        until(lambda: not family.living(), "all processes to end", 60)
        assert "Traceback" not in process.stderr
        assert "panicked" not in process.stderr


@pytest.mark.slow
def test_a_timed_run_scores_and_ends_by_itself(tmp_path: Path) -> None:
    family = Family()
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models"), **family.settings}
    arguments = ["-m", "flows.local", "--feed", "simulate", "--no-api", "--duration", "20"]
    with Process(arguments, tmp_path, settings) as process:
        url = process.wait_for_log(r"redis://127\.0\.0\.1:\d+/0", 60)
        with redis.Redis.from_url(url) as client:
            until(lambda: client.exists(topics.SYMBOLS_KEY), "a score", 60)
        for word in ("tansu", "valkey-server", "flows.pipeline", "flows.ingest", "reaper.py"):
            assert family.members(word), word
        assert process.wait_exit(90) == 0, process.tail()
        assert process.stdout == ""
        until(lambda: not family.living(), "all processes to end", 60)


def test_the_run_ends_with_its_broker(tmp_path: Path) -> None:
    family = Family()
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models"), **family.settings}
    with Process(
        ["-m", "flows.local", "--feed", "simulate", "--no-api"], tmp_path, settings
    ) as process:
        process.wait_for_log("EMBEDDED broker", 60)
        [broker] = family.members("tansu")
        until(lambda: family.members("flows.ingest"), "a feed", 60)
        broker.kill()
        assert process.wait_exit(60) not in (0, None)
        assert "the broker process ended" in process.stderr
        until(lambda: not family.living(), "all processes to end", 60)
