"""The program that posts alerts, against a broker and a webhook."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import msgspec
import pytest

from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import Outgoing, create_topics, fill
from tests.support.polling import free_ports, until
from tests.support.processes import Process, run
from tests.unit.alerting.test_alerting import spike


class Hook:
    """A webhook that is busy at first."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.bodies.append(json.loads(body))
                self.send_response(503 if len(hook.bodies) == 1 else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/secret-path"


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.mark.timeout(180)
def test_a_spike_is_posted_once_for_each_symbol_and_the_past_is_not(
    embedded_broker: EmbeddedBroker, hook: Hook, tmp_path: Path
) -> None:
    config = embedded_broker.client_config()
    create_topics(config, 1)

    def write(*symbols: str) -> None:
        messages = [
            Outgoing(0, name.encode(), msgspec.json.encode(spike(0, name)), 1) for name in symbols
        ]
        fill(config, messages, topics.PREDICTIONS)

    write("PAST-USD")
    [port] = free_ports(1)
    settings = {
        **embedded_broker.environment(),
        "VOLTICK_ALERTS_URL": hook.url,
        "VOLTICK_ALERTS_METRICS_PORT": str(port),
    }
    with Process(["-m", "flows.alerts"], tmp_path, settings) as process:
        process.wait_for_log("alerts ready", 60)
        read = f"http://127.0.0.1:{port}/metrics"

        def posted() -> bool:
            write("BTC-USD", "ETH-USD", "BTC-USD")
            text = httpx.get(read, timeout=10).text
            return 'voltick_alerts_total{result="sent",target="volatility_spike"} 2.0' in text

        until(posted, "two alerts", 60, every_s=0.5)
        process.terminate()
        assert process.wait_exit(30) == 0, process.tail()
        assert "secret-path" not in process.stderr
    symbols = [body["text"].partition(":")[0] for body in hook.bodies]
    assert sorted(set(symbols)) == ["BTC-USD", "ETH-USD"]
    assert len(symbols) == 3  # the first one was tried again


def test_without_an_address_it_says_which_setting_names_it(tmp_path: Path) -> None:
    ended = run(["-m", "flows.alerts"], tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert ended.returncode == 2
    assert "VOLTICK_ALERTS_URL is not set" in ended.stderr
