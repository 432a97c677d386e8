"""What the launcher refuses before it starts anything."""

import socket

import pytest

from flows.errors import ConfigurationError, PortTakenError
from flows.local.launcher import check_port, ensure_services, refuse_cluster
from flows.settings import Settings
from tests.support.polling import free_ports


def test_with_a_broker_configured_nothing_is_started() -> None:
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    assert ensure_services(settings) is settings


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["flows.pipeline", "-i", "0", "-a", "a:1;b:1"], {}),
        (["flows.pipeline", "-i0"], {}),
        (["flows.pipeline", "--process-id=0"], {}),
        (["flows.pipeline"], {"BYTEWAX_PROCESS_ID": "0"}),
        (["flows.pipeline"], {"BYTEWAX_ADDRESSES": "a:1"}),
        (["flows.pipeline"], {"BYTEWAX_POD_NAME": "voltick-0"}),
    ],
)
def test_a_clustered_run_needs_a_broker(arguments: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
        refuse_cluster(arguments, env)


def test_workers_in_one_process_are_no_cluster() -> None:
    refuse_cluster(["flows.pipeline", "-w", "2"], {"BYTEWAX_WORKERS_PER_PROCESS": "2"})


def test_a_taken_port_is_refused_and_a_free_one_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} of 127.0.0.1 is taken"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", free_ports(1)[0])


def test_a_foreign_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"VOLTICK_API_HOST='192\.0\.2\.1'"):
        check_port("192.0.2.1", free_ports(1)[0])
