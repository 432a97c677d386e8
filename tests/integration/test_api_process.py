"""``python -m serving`` as an operator runs it."""

import os
import signal
import subprocess
import sys

import httpx
import pytest

from tests.support.api import open_stream
from tests.support.polling import die_with_parent, free_ports, listening, until


@pytest.fixture
def start(tmp_path):
    started: list[subprocess.Popen] = []

    def run(**settings: str) -> subprocess.Popen:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "serving"],
            env={**kept, "VOLTICK_MODEL_STORE": str(tmp_path / "models"), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_loopback_and_ends_on_a_signal_with_streams_open(start, valkey, number):
    [port] = free_ports(1)
    process = start(REDIS_URL=valkey.url, VOLTICK_API_PORT=str(port), VOLTICK_LOG_FORMAT="json")
    until(lambda: process.poll() is not None or listening(port), "the API to listen", 60)
    address = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{address}/scores", timeout=10).json()["scores"] == []
    with open_stream(address) as stream:
        assert b"200 OK" in stream.recv(100)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out == ""
    assert f"http://127.0.0.1:{port}/" in err
    assert "Traceback" not in err


def test_taken_port_is_one_line_and_a_failure(start, valkey):
    process = start(REDIS_URL=valkey.url, VOLTICK_API_PORT=str(valkey.port))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert f"port {valkey.port} on 127.0.0.1 is taken" in err


def test_missing_redis_url_is_one_line_and_a_failure(start):
    process = start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "REDIS_URL is not set" in err
