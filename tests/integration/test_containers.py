"""Each container's very command, with its very environment, as a process of this machine.

A sample of the containers is started; ``VOLTICK_TEST_ALL_CONTAINERS=1`` starts all of them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.containers import Container, compose_containers, healthcheck
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.polling import free_ports, until
from tests.support.processes import Process

SAMPLE = ("ingest", "pipeline", "api", "trainer")
CONTAINERS = compose_containers()
CHOSEN = tuple(CONTAINERS) if os.environ.get("VOLTICK_TEST_ALL_CONTAINERS") else SAMPLE
# This machine's processor is another, and its compiled code is kept elsewhere.
OF_THE_IMAGE = ("PATH", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")


def here(container: Container, folder: Path, broker: EmbeddedBroker, valkey: Valkey) -> Container:
    """Return a container with this machine's addresses, ports and folders for its own."""
    [port] = free_ports(1)
    env = {name: value for name, value in container.env.items() if name not in OF_THE_IMAGE}
    changed = {
        "0.0.0.0": "127.0.0.1",  # noqa: S104 (what it is replaced by is loopback)
        "kafka:9092": broker.bootstrap,
        "redis://valkey:6379/0": valkey.url,
    }
    env = {name: changed.get(value, value) for name, value in env.items()}
    env |= {name: str(port) for name in env if _is_port(name, env[name])}
    for volume, path in container.mounts.items():
        (folder / volume).mkdir(exist_ok=True)
        env = {k: v.replace(path, str(folder / volume)) for k, v in env.items()}
    env["VOLTICK_ARCHIVE"] = str(folder / "archive")
    if container.module == "serving":
        env["VOLTICK_API_PORT"] = str(port)
    # The venues are not there.
    env["VOLTICK_FEED_URL"] = "ws://127.0.0.1:1"
    if container.module == "flows.alerts":
        env["VOLTICK_ALERTS_URL"] = "http://127.0.0.1:1"
    command = tuple(_word(word, container, folder, port) for word in container.command)
    health = tuple(word.replace(":5001", f":{port}") for word in container.health or ())
    return Container(container.name, command, env, container.mounts, health)


def _is_port(name: str, value: str) -> bool:
    return name.endswith("_PORT") and value != "0"  # which is none


def _word(word: str, container: Container, folder: Path, port: int) -> str:
    for volume, path in container.mounts.items():
        word = word.replace(path, str(folder / volume))
    word = word.replace("0.0.0.0", "127.0.0.1").replace("mlflow:5001", f"127.0.0.1:{port}")  # noqa: S104
    return word.replace(":5001", f":{port}").replace("--port=5001", f"--port={port}")


@pytest.fixture
def running(
    tmp_path: Path, embedded_broker: EmbeddedBroker, valkey: Valkey
) -> Iterator[dict[str, tuple[Container, Process]]]:
    started = {}
    with ExitStack() as stack:
        for name in ("topics", *(name for name in CHOSEN if name != "topics")):
            container = here(CONTAINERS[name], tmp_path, embedded_broker, valkey)
            folder = tmp_path / f"of-{name}"
            folder.mkdir()
            made = Process(container.command[1:], folder, container.env, name)
            started[name] = container, stack.enter_context(made)
            if name == "topics":
                assert made.wait_exit(180) == 0, made.tail()
        yield started


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_container_answers_its_health_check_and_stops_when_it_is_told_to(
    running: dict[str, tuple[Container, Process]], monkeypatch: pytest.MonkeyPatch
) -> None:
    running.pop("topics")
    for name, (container, process) in running.items():

        def is_well(container: Container = container) -> bool:
            with monkeypatch.context() as patch:
                patch.setattr(os, "environ", dict(container.env))
                return bool(healthcheck().main(container.health or ()) == 0)

        until(is_well, f"{name} to answer: {process.tail()}", deadline_s=300.0, every_s=0.2)
    for _container, process in running.values():
        process.terminate()
    codes = {name: process.wait_exit(180) for name, (_container, process) in running.items()}
    assert codes == dict.fromkeys(running, 0), {n: p.tail() for n, (_c, p) in running.items()}
