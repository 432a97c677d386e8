"""The program that posts alerts, against a broker and a webhook."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import Outgoing, create_topics, fill
from tests.support.polling import free_ports, until
from tests.support.processes import Process, run
from tests.support.rest_server import Reply, Request, RestServer
from tests.unit.alerting.test_alerting import spike


@pytest.fixture
def hook() -> Iterator[RestServer]:
    """Return a webhook that is busy at first."""

    def answer(_request: Request) -> Reply:
        return Reply(status=503 if len(server.requests) == 1 else 200)

    with RestServer(answer) as server:
        yield server


@pytest.mark.timeout(180)
def test_a_spike_is_posted_once_for_each_symbol_and_the_past_is_not(
    embedded_broker: EmbeddedBroker, hook: RestServer, tmp_path: Path
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
        "VOLTICK_ALERTS_URL": f"{hook.url}/secret-path",
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
    bodies = [json.loads(request.body) for request in hook.requests]
    symbols = [body["text"].partition(":")[0] for body in bodies]
    assert sorted(set(symbols)) == ["BTC-USD", "ETH-USD"]
    assert len(symbols) == 3  # the first one was tried again


def test_without_an_address_it_says_which_setting_names_it(tmp_path: Path) -> None:
    ended = run(["-m", "flows.alerts"], tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert ended.returncode == 2
    assert "VOLTICK_ALERTS_URL is not set" in ended.stderr
