"""Every container of the image, wherever it is declared, runs a command of the product as it is."""

import importlib.util

import pytest
import typer.main
from typer.testing import CliRunner

from flows.settings import Settings, load_settings
from flows.topics import app as create_topics
from tests.support.containers import Container, compose_containers, healthcheck
from training.retrain import app as retrain

DECLARED = {f"compose-{name}": container for name, container in compose_containers().items()}
FLOWS = {"flows.ingest", "flows.pipeline", "flows.outcomes", "flows.candles", "flows.archive"}
OF_SETTINGS = FLOWS | {"serving", "training.retrain", "flows.topics"}
APPS = {"training.retrain": retrain, "flows.topics": create_topics}
# Without an answer to be asked for: it runs once.
ONCE = {"flows.topics"}


@pytest.fixture(params=DECLARED)
def container(request: pytest.FixtureRequest) -> Container:
    return DECLARED[request.param]


def test_a_containers_command_is_the_products(container: Container) -> None:
    assert container.module in OF_SETTINGS | {"mlflow"}
    assert importlib.util.find_spec(container.module) is not None


def test_a_containers_options_exist(container: Container) -> None:
    known: set[str] = set()
    if container.module == "mlflow":
        return  # its process is started in the integration tests
    if container.module in APPS:
        app = APPS[container.module]
        said = CliRunner().invoke(app, [*container.options, "--help"])
        assert said.exit_code == 0
        parameters = typer.main.get_command(app).params
        known = {name for parameter in parameters for name in parameter.opts}
    options = {word.partition("=")[0] for word in container.options if word.startswith("-")}
    assert options <= known


def test_a_containers_settings_are_the_products(container: Container) -> None:
    if container.module == "mlflow":
        return
    settings = load_settings(container.env)
    assert settings.kafka_bootstrap_servers is not None
    assert settings.redis_url is not None
    assert "auto" not in settings.feed
    assert "simulate" not in settings.feed


def test_a_container_keeps_what_it_writes_on_a_volume(container: Container) -> None:
    settings = load_settings(container.env)
    if container.module in {"flows.pipeline", "serving", "training.retrain"}:
        assert container.mounts["models"] == str(settings.model_store)
    if container.module == "flows.archive":
        assert container.mounts["archive"] == str(settings.archive)
    if container.module == "mlflow":
        text = " ".join(container.options)
        assert f"--artifacts-destination={container.mounts['mlflow']}/artifacts" in text
        assert f"--backend-store-uri=sqlite:///{container.mounts['mlflow']}/" in text


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
    url = healthcheck().address(container.env)
    ports = {
        "serving": settings.api_port,
        "flows.ingest": settings.ingest_metrics_port,
        "training.retrain": settings.trainer_metrics_port,
    }
    port = ports.get(container.module, settings.metrics_port)
    path = "version" if container.module == "serving" else "metrics"
    assert port
    assert url == f"http://127.0.0.1:{port}/{path}"


def test_metrics_can_be_read_from_another_container(container: Container) -> None:
    if container.module in FLOWS | {"training.retrain"}:
        assert load_settings(container.env).metrics_host == "0.0.0.0"  # noqa: S104


def test_every_flow_and_target_has_its_container() -> None:
    declared = [container for name, container in DECLARED.items() if name.startswith("compose-")]
    assert FLOWS | {"serving"} <= {container.module for container in declared}
    trained = {
        word.removeprefix("--target=")
        for container in declared
        for word in container.options
        if word.startswith("--target=")
    }
    assert trained == set(Settings().targets)
