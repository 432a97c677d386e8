"""What the deployment's files say: the image, the compose file, the clusters' manifests."""

import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
COMPOSE = DOCKER / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True)
class Container:
    """A container that runs Voltick's image.

    Attributes
    ----------
    env
        All that its process finds in its environment, the image's variables among them.
    mounts
        Path in the container by the name of the volume that lies there.
    health
        The arguments that its check gives to ``healthcheck.py``; None where there is no check.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    mounts: Mapping[str, str] = field(default_factory=dict)
    health: tuple[str, ...] | None = ()

    @property
    def module(self) -> str:
        """The module that it runs."""
        python, option, module, *rest = self.command
        assert (python, option) == ("python", "-m")
        return rest[0] if module == "bytewax.run" else module

    @property
    def options(self) -> tuple[str, ...]:
        """What is behind the module."""
        return self.command[self.command.index(self.module) + 1 :]


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the Dockerfile's instructions and their arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if line[:1] != "#"]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def image_env(processor: str = "amd64") -> dict[str, str]:
    """Return the variables that the image sets for every process."""
    found: dict[str, str] = {}
    stages: dict[str, dict[str, str]] = {}
    for name, arguments in instructions():
        if name == "FROM":
            base, _, stage = arguments.partition(" AS ")
            found = dict(stages.get(base.replace("${TARGETARCH}", processor), {}))
            stages[stage] = found
        elif name == "ENV":
            found |= dict(pair.split("=", 1) for pair in shlex.split(arguments))
    return found


def compose(env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the compose file with its variables replaced, as with this ``.env``."""
    given = env or {}

    def value(found: re.Match[str]) -> str:
        return given.get(found["name"]) or found["default"] or ""

    read: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, COMPOSE.read_text("utf-8")))
    return read


def compose_containers() -> dict[str, Container]:
    """Return the compose file's containers of our image, by the name of their service."""
    services = compose()["services"]
    return {name: _of_service(name, told) for name, told in services.items() if "build" in told}


def _of_service(name: str, told: Mapping[str, Any]) -> Container:
    check = told.get("healthcheck", {})
    health = None if check.get("disable") else tuple(check.get("test", ())[3:])
    volumes = (volume.split(":") for volume in told["volumes"])
    return Container(
        name,
        tuple(told["command"]),
        {**image_env(), **told["environment"]},
        {volume: path for volume, path, *_ in volumes},
        health,
    )


def healthcheck() -> ModuleType:
    """Return the image's own ``healthcheck.py`` as a module."""
    return _module("healthcheck")


def dependencies() -> ModuleType:
    """Return the build's own ``dependencies.py`` as a module."""
    return _module("dependencies")


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCKER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
