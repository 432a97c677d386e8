"""``python -m serving`` as an operator runs it."""

import signal

import httpx
import pytest

from tests.support.api import open_stream
from tests.support.polling import free_ports, listening, until
from tests.support.processes import Process, run


def environment(folder, **settings: str) -> dict[str, str]:
    return {"VOLTICK_MODEL_STORE": str(folder / "models"), **settings}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_loopback_and_ends_on_a_signal_with_streams_open(tmp_path, valkey, number):
    [port] = free_ports(1)
    settings = environment(
        tmp_path, REDIS_URL=valkey.url, VOLTICK_API_PORT=str(port), VOLTICK_LOG_FORMAT="json"
    )
    with Process(["-m", "serving"], tmp_path, settings) as process:
        until(lambda: not process.running or listening(port), "the API to listen", 60)
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/scores", timeout=10).json()["scores"] == []
        with open_stream(address) as stream:
            assert b"200 OK" in stream.recv(100)
            process.popen.send_signal(number)
            assert process.wait_exit(30) == 0, process.tail()
        assert process.stdout == ""
        assert f"http://127.0.0.1:{port}/" in process.stderr
        assert "Traceback" not in process.stderr


def test_taken_port_is_one_line_and_a_failure(tmp_path, valkey):
    settings = environment(tmp_path, REDIS_URL=valkey.url, VOLTICK_API_PORT=str(valkey.port))
    done = run(["-m", "serving"], tmp_path, settings)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"port {valkey.port} on 127.0.0.1 is taken" in done.stderr


def test_missing_redis_url_is_one_line_and_a_failure(tmp_path):
    done = run(["-m", "serving"], tmp_path, environment(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "REDIS_URL is not set" in done.stderr
