"""Every container of the image, wherever it is declared, runs a command of the product as it is."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from flows.settings import Settings, load_settings
from flows.topics import app as create_topics
from tests.support.containers import (
    OVERLAYS,
    Container,
    cluster_containers,
    compose_containers,
    healthcheck,
)
from training.retrain import app as retrain

FLOWS = {"flows.ingest", "flows.pipeline", "flows.outcomes", "flows.candles", "flows.archive"}
OF_SETTINGS = FLOWS | {"serving", "training.retrain", "flows.topics", "flows.alerts"}
APPS = {"training.retrain": retrain, "flows.topics": create_topics}
# It runs once, so there is nobody to ask.
ONCE = {"flows.topics"}
OF_MODELS = {"flows.pipeline", "flows.outcomes", "serving", "training.retrain"}

Loaded = Callable[[Container], Settings]


@pytest.fixture(params=["compose", *OVERLAYS])
def containers(request: pytest.FixtureRequest) -> list[Container]:
    composed = request.param == "compose"
    found = compose_containers() if composed else cluster_containers(request.param)
    return list(found.values())


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Load a container's settings; a file that its pod has is one of this machine."""
    secret = tmp_path / "secret"
    secret.write_text("secret")

    def load(container: Container) -> Settings:
        return load_settings(
            {
                name: str(secret) if value.startswith("/run/") else value
                for name, value in container.env.items()
            }
        )

    return load


def test_a_containers_command_is_the_products(containers: list[Container]) -> None:
    for container in containers:
        assert container.module in OF_SETTINGS | {"mlflow"}
        if container.module != "mlflow":
            assert importlib.util.find_spec(container.module) is not None


def test_the_command_of_a_container_of_an_extra_exists(containers: list[Container]) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    for container in containers:
        if container.module == "mlflow":
            assert importlib.util.find_spec(f"{container.module}.__main__") is not None


def test_a_containers_options_exist(containers: list[Container]) -> None:
    for container in containers:
        known: set[str] = set()
        if container.module == "mlflow":
            continue  # its process is started in the integration tests
        if container.module in APPS:
            app = APPS[container.module]
            said = CliRunner().invoke(app, [*container.options, "--help"])
            assert said.exit_code == 0, container
            parameters = typer.main.get_command(app).params
            known = {name for parameter in parameters for name in parameter.opts}
        options = {word.partition("=")[0] for word in container.options if word.startswith("-")}
        assert options <= known, container


def test_a_containers_settings_are_the_products(
    containers: list[Container], loaded: Loaded
) -> None:
    for container in containers:
        if container.module == "mlflow":
            continue
        settings = loaded(container)
        assert settings.kafka_bootstrap_servers is not None
        assert settings.redis_url is not None
        assert "auto" not in settings.feed
        assert "simulate" not in settings.feed
        if settings.kafka_sasl_mechanism is not None:
            assert settings.kafka_sasl_username
            assert settings.kafka_sasl_password is not None
        if container.module in FLOWS | {"training.retrain"}:
            assert settings.metrics_host == "0.0.0.0"  # noqa: S104 (another container asks)


def test_a_container_keeps_what_it_writes_on_a_volume(
    containers: list[Container], loaded: Loaded
) -> None:
    for container in containers:
        settings = loaded(container)
        if container.module in OF_MODELS:
            assert container.mounts["models"] == str(settings.model_store)
        if container.module == "flows.archive":
            assert container.mounts["archive"] == str(settings.archive)
        if container.module == "mlflow":
            text = " ".join(container.options)
            assert f"--artifacts-destination={container.mounts['mlflow']}/artifacts" in text
            assert f"--backend-store-uri=sqlite:///{container.mounts['mlflow']}/" in text


def test_every_flow_and_target_has_its_container(containers: list[Container]) -> None:
    assert FLOWS | {"serving", "mlflow"} <= {container.module for container in containers}
    trained = {
        word.removeprefix("--target=")
        for container in containers
        for word in container.options
        if word.startswith("--target=")
    }
    assert trained == set(Settings().targets)


@pytest.mark.parametrize("container", compose_containers().values(), ids=compose_containers())
def test_a_container_is_asked_where_it_answers(container: Container) -> None:
    if container.module in ONCE:
        assert container.health is None
        return
    assert container.health is not None
    if container.module == "mlflow":
        port = next(word for word in container.options if word.startswith("--port="))
        assert container.health == (f"http://127.0.0.1:{port.partition('=')[2]}/health",)
        return
    settings = load_settings(container.env)
    ports = {
        "serving": settings.api_port,
        "flows.ingest": settings.ingest_metrics_port,
        "flows.outcomes": settings.outcomes_metrics_port,
        "flows.candles": settings.candles_metrics_port,
        "flows.archive": settings.archive_metrics_port,
        "training.retrain": settings.trainer_metrics_port,
        "flows.alerts": settings.alerts_metrics_port,
    }
    port = ports.get(container.module, settings.metrics_port)
    path = "version" if container.module == "serving" else "metrics"
    assert port
    assert healthcheck().address(container.env) == f"http://127.0.0.1:{port}/{path}"
