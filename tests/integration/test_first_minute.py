"""A newcomer's first minute: a learned model at work, which says what it learned from."""

import json
import signal
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from tests.support.family import Family
from tests.support.polling import free_ports, until
from tests.support.processes import Process

DEADLINE_S = 400.0  # some ten seconds of processor time, on a machine that may be busy


def ask(port: int, path: str) -> dict:
    """Return the API's answer; empty while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return {}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_the_simulator_a_learned_model_serves_and_is_called_simulated(tmp_path: Path) -> None:
    [port] = free_ports(1)
    family = Family()
    settings = {
        "VOLTICK_API_PORT": str(port),
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        "VOLTICK_TARGETS": "volatility_spike",
        **family.settings,
    }
    with Process(["-m", "flows.local", "--feed", "simulate"], tmp_path, settings) as process:

        def score() -> dict:
            assert process.running, process.tail()
            return ask(port, "/scores/BTC-USD").get("scores", {}).get("volatility_spike", {})

        first = until(score, "a score", 90)
        assert first["variant"] == "zscore"  # nobody waits for the training
        until(lambda: score().get("variant") not in (None, "zscore"), "a learned model", DEADLINE_S)
        served = ask(port, "/version")["targets"]["volatility_spike"]
        assert served["provenance"] == "simulated"
        assert served["variant"] == "logreg"
        process.wait_for_log("a model trained on SIMULATED data is ready")
        assert family.living()
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait_exit(60) == 128 + signal.SIGTERM
        until(lambda: not family.living(), "all processes to end", 60)
        assert "Traceback" not in process.stderr


def test_training_can_be_left_out(tmp_path: Path) -> None:
    settings = {"VOLTICK_MODEL_STORE": str(tmp_path / "models")}
    arguments = ["-m", "flows.local", "--feed", "simulate", "--no-api", "--no-train"]
    with Process([*arguments, "--duration", "8"], tmp_path, settings) as process:
        assert process.wait_exit(90) == 0, process.tail()
        assert "training" not in process.stderr
