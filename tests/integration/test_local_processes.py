"""The all-in-one commands come up, answer, and leave nothing behind."""

import json
import signal
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError

import psutil
import pytest

from tests.support.polling import free_ports, until
from tests.support.processes import Process

COMMANDS = {
    "flow": ["-m", "bytewax.run", "flows.pipeline"],
    "local": ["-m", "flows.local"],
}


def newest(port: int) -> int:
    """Return the event time of the newest score of BTC-USD; 0 while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/scores/BTC-USD", timeout=5) as answer:
            return int(json.load(answer)["ts_event_ns"])
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return 0


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_scores_advance_and_nothing_is_left_behind(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    settings = {
        "VOLTICK_API_PORT": str(port),
        "VOLTICK_FEED": "simulate",
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
    }
    with Process(COMMANDS[command], tmp_path, settings) as process:

        def advanced(beyond: int) -> int:
            assert process.running, process.tail()
            return max(0, newest(port) - beyond)

        first = until(lambda: advanced(0), "a score", 60)
        until(lambda: advanced(first), "a newer score", 30)
        assert f"http://127.0.0.1:{port}/" in process.stderr
        assert "SIMULATED" in process.stderr
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 5  # broker, Redis, feed, API, guard
        [feed] = [child for child in children if "flows.ingest" in child.cmdline()]
        assert float(feed.environ()["VOLTICK_FEED_SPACING_US"]) > 0  # its broker is embedded
        process.popen.send_signal(number)
        code = process.wait_exit(30)
        assert code == (-9 if number == signal.SIGKILL else 128 + number)
        until(lambda: all(gone(child) for child in children), "all processes to end", 30)
        assert "Traceback" not in process.stderr
        assert "panicked" not in process.stderr


def test_a_timed_run_ends_by_itself(tmp_path: Path) -> None:
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models")}
    arguments = ["-m", "flows.local", "--feed", "simulate", "--no-api", "--duration", "3"]
    with Process(arguments, tmp_path, settings) as process:
        until(lambda: psutil.Process(process.pid).children(recursive=True), "children", 30)
        children = psutil.Process(process.pid).children(recursive=True)
        assert process.wait_exit(60) == 0, process.tail()
        assert process.stdout == ""
        until(lambda: all(gone(child) for child in children), "all processes to end", 30)


def test_the_run_ends_with_its_broker(tmp_path: Path) -> None:
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models")}
    with Process(
        ["-m", "flows.local", "--feed", "simulate", "--no-api"], tmp_path, settings
    ) as process:
        process.wait_for_log("EMBEDDED broker")
        children = psutil.Process(process.pid).children(recursive=True)
        [broker] = [child for child in children if "tansu" in child.name()]
        broker.kill()
        assert process.wait_exit(60) not in (0, None)
        assert "the broker process ended" in process.stderr
        until(lambda: all(gone(child) for child in children), "all processes to end", 30)
