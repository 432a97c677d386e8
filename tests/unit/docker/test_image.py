"""What image, compose file and their README name exists in the code."""

import fnmatch
import importlib
import importlib.util
import re
import shlex
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from typer.testing import CliRunner

from flows.settings import Settings, load_settings
from training.retrain import app as retrain

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OWN = {name: service for name, service in SERVICES.items() if "build" in service}
SERVERS = sorted(set(SERVICES) - set(OWN))


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions, continued lines joined."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    return [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]


def image_env() -> dict[str, str]:
    """Variables that the image sets for every process."""
    found: dict[str, str] = {}
    for name, value in instructions():
        if name == "ENV":
            found |= dict(pair.split("=", 1) for pair in shlex.split(value))
    return found


def module_of(command: list[str]) -> str:
    assert command[:2] == ["python", "-m"]
    return command[3] if command[2] == "bytewax.run" else command[2]


def healthcheck():
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "docker/healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", OWN)
def test_a_services_command_and_settings_are_the_products(name: str) -> None:
    service = OWN[name]
    assert importlib.util.find_spec(module_of(service["command"])) is not None
    settings = load_settings({**image_env(), **service["environment"]})
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value().startswith("redis://valkey:6379")
    assert settings.feed not in ("auto", "simulate")


def test_every_program_and_target_has_its_service() -> None:
    modules = {name: module_of(service["command"]) for name, service in OWN.items()}
    names = ("archive", "candles", "ingest", "outcomes", "pipeline")
    flows = [f"flows.{name}" for name in names]
    assert sorted(set(modules.values())) == sorted([*flows, "serving", "training.retrain"])
    trained = [
        word.removeprefix("--target=")
        for service in OWN.values()
        for word in service["command"]
        if word.startswith("--target=")
    ]
    assert sorted(trained) == sorted(Settings().targets)


@pytest.mark.parametrize("name", [name for name in OWN if name.startswith("trainer")])
def test_a_trainers_options_exist(name: str) -> None:
    options = OWN[name]["command"][3:]
    said = CliRunner().invoke(retrain, [*options, "--help"])
    assert said.exit_code == 0
    known = {name for parameter in retrain_parameters() for name in parameter.opts}
    assert {option.partition("=")[0] for option in options} <= known


def retrain_parameters():
    import typer.main

    return typer.main.get_command(retrain).params


@pytest.mark.parametrize("name", OWN)
def test_a_service_waits_for_healthy_servers(name: str) -> None:
    waits = OWN[name]["depends_on"]
    assert sorted(waits) == SERVERS
    assert all(wait["condition"] == "service_healthy" for wait in waits.values())
    assert all("healthcheck" in SERVICES[server] for server in waits)


@pytest.mark.parametrize("name", OWN)
def test_a_service_is_asked_where_it_answers(name: str) -> None:
    service = OWN[name]
    env = {**image_env(), **service["environment"]}
    settings = load_settings(env)
    if service.get("healthcheck") == {"disable": True}:
        assert module_of(service["command"]) in {"training.retrain"}
        return
    url = healthcheck().address(env)
    if module_of(service["command"]) == "serving":
        assert url == f"http://127.0.0.1:{settings.api_port}/version"
    elif module_of(service["command"]) == "flows.ingest":
        assert settings.ingest_metrics_port
        assert url == f"http://127.0.0.1:{settings.ingest_metrics_port}/metrics"
    else:
        assert settings.metrics_port
        assert url == f"http://127.0.0.1:{settings.metrics_port}/metrics"


def test_published_ports_are_the_apis_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    port = Settings().api_port
    assert published == {"api": [f"127.0.0.1:{port}:{port}"]}
    assert OWN["api"]["environment"]["VOLTICK_API_HOST"] == "0.0.0.0"  # noqa: S104 (a container's)


def test_volumes_hold_the_models_the_log_and_the_archive() -> None:
    store = image_env()["VOLTICK_MODEL_STORE"]
    assert all(f"models:{store}" in service["volumes"] for service in OWN.values())
    archive = OWN["archive"]
    assert f"archive:{archive['environment']['VOLTICK_ARCHIVE']}" in archive["volumes"]
    assert set(COMPOSE["volumes"]) == {"kafka", "models", "archive"}
    assert Settings().model_store == Path(".voltick/models")


def test_the_image_holds_the_code_once_and_runs_without_root() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    copied = re.findall(r"^COPY (.*)$", last, re.MULTILINE)
    assert copied == [
        "--from=build /opt/voltick /opt/voltick",
        "docker/healthcheck.py /opt/voltick/healthcheck.py",
    ]
    assert [value for name, value in instructions() if name == "USER"] == ["voltick"]
    assert "HEALTHCHECK" in last


def ignored(path: str) -> bool:
    """Whether the build leaves a file out: the last line that matches it or a parent decides."""
    found = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = path.split("/")
        parents = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        name = pattern.removeprefix("**/")
        tried = parts if pattern.startswith("**/") else parents
        if any(fnmatch.fnmatchcase(each, name) for each in tried):
            found = not line.startswith("!")
    return found


def test_the_build_is_given_what_it_copies_and_no_more() -> None:
    for sources in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert not ignored(source)
    for other in (
        ".git/HEAD",
        ".env",
        "tests/conftest.py",
        ".voltick/models/x",
        "docker/README.md",
    ):
        assert ignored(other)
    assert ignored("flows/features/__pycache__/kernel.run-1.py311.nbi")
    assert not ignored("flows/features/kernel.py")


def test_what_is_run_at_the_build_can_be_run() -> None:
    for code in re.findall(r'python -c "([^"]+)"', DOCKERFILE):
        compile(code, "Dockerfile", "exec")
        for module, name in re.findall(r"from (\S+) import (\w+)", code):
            assert hasattr(importlib.import_module(module), name)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_healthcheck_tells_an_answer_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    check = healthcheck()
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_address[1])
        monkeypatch.setenv("VOLTICK_METRICS_PORT", port)
        assert check.main() == 0
        monkeypatch.delenv("VOLTICK_METRICS_PORT")
        monkeypatch.setenv("VOLTICK_API_PORT", port)
        assert check.main() == 1
        server.shutdown()
    monkeypatch.setenv("VOLTICK_METRICS_PORT", port)
    assert check.main() == 1
