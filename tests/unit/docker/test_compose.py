"""The compose file: schema, commands, settings, who waits for whom, who can be reached."""

import re
from typing import Any

import pytest
import yaml

from flows.settings import Settings, load_settings, variables
from tests.support.containers import (
    COMPOSE,
    DOCKER,
    compose,
    compose_containers,
    healthcheck,
)

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OWN = compose_containers()
CORE = {"kafka", "topics", "valkey", "ingest", "pipeline", "outcomes", "api"}
PORTS = {
    "api": 8000,
    "mlflow": 5001,
    "kafka-ui": 8080,
    "kafka": 9092,
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
}
ONCE = {"topics"}


def test_the_schema_of_compose_accepts_the_file() -> None:
    from check_jsonschema import main
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--builtin-schema", "vendor.compose-spec", str(COMPOSE)])
    assert done.exit_code == 0, done.output


def test_a_profile_adds_to_the_core() -> None:
    assert {name for name, told in SERVICES.items() if "profiles" not in told} == CORE
    assert {p for told in SERVICES.values() for p in told.get("profiles", ())} == {
        "full",
        "alerts",
    }


def test_what_can_be_scaled_shares_the_partitions_out() -> None:
    for name in ("pipeline", "outcomes", "candles"):
        assert OWN[name].env["VOLTICK_ASSIGNMENT"] == "group"
        assert "ports" not in SERVICES[name]


def test_published_ports_stay_the_same_and_listen_on_loopback() -> None:
    published = {
        name: [port.split(":") for port in told["ports"]]
        for name, told in SERVICES.items()
        if "ports" in told
    }
    assert {name: int(found[0][1]) for name, found in published.items()} == PORTS
    assert {host for found in published.values() for host, *_ in found} == {"127.0.0.1"}
    assert OWN["api"].env["VOLTICK_API_HOST"] == "0.0.0.0"  # noqa: S104 (a container's)
    assert load_settings(OWN["api"].env).api_port == PORTS["api"]


def test_a_foreign_name_reads_nothing_of_the_published_port_and_scrapes_go_on() -> None:
    named = load_settings(OWN["api"].env).allowed_hosts
    assert set(named) == {"api", "localhost"}
    for name, service in OWN.items():
        if name != "api" and "VOLTICK_METRICS_HOST" in service.env:
            assert load_settings(service.env).allowed_hosts == ("*",)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_behind_those_it_needs(name: str) -> None:
    for other, wait in dict(SERVICES[name].get("depends_on", {})).items():
        once = other in ONCE
        wanted = "service_completed_successfully" if once else "service_healthy"
        assert wait["condition"] == wanted
        checked = "healthcheck" in SERVICES[other] or other in OWN
        assert checked or once
        # What a service without a profile waits for is started without one, too.
        assert "profiles" in SERVICES[name] or "profiles" not in SERVICES[other]


def test_every_flow_waits_for_the_topics() -> None:
    waiting = {name for name, told in SERVICES.items() if "topics" in told.get("depends_on", {})}
    assert waiting == set(OWN) - {"topics", "mlflow"}


@pytest.mark.parametrize("name", OWN)
def test_a_service_is_confined(name: str) -> None:
    told = SERVICES[name]
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert told["tmpfs"] == ["/tmp:mode=1777"]  # noqa: S108 (the container's own)


def test_every_volume_is_used_and_every_used_one_declared() -> None:
    used = {
        volume.partition(":")[0]
        for told in SERVICES.values()
        for volume in told.get("volumes", ())
        if not volume.startswith(".")
    }
    assert used == set(compose()["volumes"])


def test_every_folder_that_is_mounted_is_there() -> None:
    mounted = {
        volume.partition(":")[0]
        for told in SERVICES.values()
        for volume in told.get("volumes", ())
        if volume.startswith(".")
    }
    assert {"./prometheus", "./alertmanager", "./grafana/dashboards"} <= mounted
    assert [path for path in mounted if not (DOCKER / path).is_dir()] == []


def test_prometheus_asks_every_process_at_its_port() -> None:
    told = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text("utf-8"))
    asked = {
        name: each["port"]
        for job in told["scrape_configs"]
        for each in job["dns_sd_configs"]
        for name in each["names"]
    }
    for name, container in OWN.items():
        if name not in {"topics", "mlflow"}:
            url = healthcheck().address(container.env)
            assert f":{asked[name]}/" in url


def test_ports_of_an_env_file_for_one_host_do_not_count_here() -> None:
    ports = {name for name in variables().values() if name.endswith("_METRICS_PORT")}
    for name, container in OWN.items():
        if name != "mlflow":
            own = {variable for variable in ports if container.env[variable] != "0"}
            assert len(own) == (0 if name in {"topics", "api"} else 1), name
            assert container.env["VOLTICK_API_PORT"] == str(PORTS["api"])


def test_a_trainer_may_finish_its_training() -> None:
    trainers = [told for name, told in SERVICES.items() if name.startswith("trainer")]
    assert len(trainers) == len(Settings().targets)
    assert {told["stop_grace_period"] for told in trainers} == {"10m"}


def test_the_number_of_pipelines_is_free() -> None:
    """Two containers cannot share a name or a port of the host."""
    assert not {"container_name", "ports"} & set(SERVICES["pipeline"])
    assert SERVICES["pipeline"]["scale"] == 1
    assert compose({"PIPELINES": "3"})["services"]["pipeline"]["scale"] == 3


def test_what_stands_in_the_env_file_is_read() -> None:
    text = (DOCKER / ".env.example").read_text("utf-8")
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    foreign = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text("utf-8"))) | {"COMPOSE_PROFILES"}
    assert foreign <= set(named)
    defaults = Settings().to_env()
    for name, value in named.items():
        if name in foreign:
            continue
        assert load_settings({name: value}).to_env().get(name, "") == defaults.get(name, "")


def test_a_feed_of_the_env_file_reaches_every_process() -> None:
    services = compose({"VOLTICK_FEED": "binance"})["services"]
    fed = {services[name]["environment"]["VOLTICK_FEED"] for name in set(OWN) - {"mlflow"}}
    assert fed == {"binance"}
