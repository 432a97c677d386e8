"""What the launcher refuses before it starts anything."""

import pytest

from flows.errors import ConfigurationError
from flows.local.launcher import ensure_services, refuse_cluster
from flows.settings import Settings


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
