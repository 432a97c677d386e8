"""Where each program answers Prometheus."""

import httpx
import pytest

from flows.errors import ConfigurationError, PortTakenError
from flows.monitoring.candle_metrics import CandleMetrics
from flows.monitoring.served import Health
from flows.runtime.metrics import port_of, serve_metrics
from flows.runtime.ports import listen
from flows.settings import Settings
from tests.support.polling import free_ports


def test_a_program_has_its_own_port_or_that_of_all_flows() -> None:
    settings = Settings(metrics_port=9100, candles_metrics_port=9103, archive_metrics_port=0)
    assert port_of(settings, None) == (9100, "VOLTICK_METRICS")
    assert port_of(settings, "outcomes") == (9100, "VOLTICK_METRICS")
    assert port_of(settings, "candles") == (9103, "VOLTICK_CANDLES_METRICS")
    assert port_of(settings, "archive") == (0, "VOLTICK_ARCHIVE_METRICS")
    assert port_of(settings, "ingest") == (0, "VOLTICK_INGEST_METRICS")


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")],  # noqa: S104
    ids=["own", "any"],
)
def test_metrics_are_answered_on_the_host_that_is_set(host: str, asked: str) -> None:
    [port] = free_ports(1)
    serve_metrics(CandleMetrics(), Settings(metrics_host=host, metrics_port=port))
    assert "voltick_candles_ticks_total" in httpx.get(f"http://{asked}:{port}/metrics").text


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_a_foreign_page_whose_name_leads_here_reads_nothing(path: str) -> None:
    [port] = free_ports(1)
    settings = Settings(metrics_port=port, allowed_hosts=("desk.example.com",))
    serve_metrics(CandleMetrics(), settings, health=lambda: Health(is_well=True, details={}))
    url = f"http://127.0.0.1:{port}{path}"
    refused = httpx.get(url, headers={"Host": "evil.example"})
    assert refused.status_code == 403
    assert "VOLTICK_ALLOWED_HOSTS" in refused.text
    assert "voltick_candles" not in refused.text
    for name in ("desk.example.com", f"localhost:{port}"):
        assert httpx.get(url, headers={"Host": name}).status_code == 200


def test_an_address_that_cannot_be_had_is_named_with_its_setting() -> None:
    with listen("127.0.0.1", 0, setting="A") as listener:
        port = listener.getsockname()[1]
        settings = Settings(outcomes_metrics_port=port)
        with pytest.raises(PortTakenError, match="VOLTICK_OUTCOMES_METRICS_PORT"):
            serve_metrics(CandleMetrics(), settings, "outcomes")
    settings = Settings(metrics_host="203.0.113.7", metrics_port=port)
    with pytest.raises(ConfigurationError, match=r"VOLTICK_METRICS_HOST='203\.0\.113\.7'"):
        serve_metrics(CandleMetrics(), settings)
