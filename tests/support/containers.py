"""What the deployment's files say: the image, the compose file, the clusters' manifests."""

import importlib.util
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
COMPOSE = DOCKER / "compose.yaml"
_QUANTITY = {
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
}
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


OVERLAYS = ("local", "production", "production-external")


@cache
def cluster(overlay: str) -> tuple[dict[str, Any], ...]:
    """Return what an overlay gives to a cluster; skip where kubectl is missing."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    folder = DOCKER / "kubernetes" / "overlays" / overlay
    told = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return tuple(yaml.safe_load_all(told.stdout))


def of_kind(overlay: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return an overlay's objects of a kind, by their names."""
    found = (document for document in cluster(overlay) if document["kind"] == kind)
    return {document["metadata"]["name"]: document for document in found}


def amount(text: str) -> float:
    """Return what a quantity of Kubernetes says, in units or bytes."""
    digits = text.rstrip("mkKMGi")
    return float(digits) * _QUANTITY[text[len(digits) :]]


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    """Return the pods' specifications, by ``KIND/NAME`` of what makes them."""
    found = {}
    for document in cluster(overlay):
        spec = document.get("spec", {})
        spec = spec.get("jobTemplate", document).get("spec", {})
        if "template" in spec and "spec" in spec["template"]:
            name = document["metadata"]["name"]
            found[f"{document['kind']}/{name}"] = spec["template"]["spec"]
    return found


def cluster_containers(overlay: str) -> dict[str, Container]:
    """Return an overlay's containers of our image, by the name of what makes their pods."""
    shared = {
        document["metadata"]["name"]: document["data"]
        for document in cluster(overlay)
        if document["kind"] == "ConfigMap"
    }
    return {
        name: _of_pod(name, pod, container, shared)
        for name, pod in pods(overlay).items()
        for container in pod["containers"]
        if container["name"] == "process"
    }


def _of_pod(
    name: str,
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    shared: Mapping[str, Mapping[str, str]],
) -> Container:
    env = image_env()
    for source in container["envFrom"]:
        env |= shared.get(source.get("configMapRef", {}).get("name", ""), {})
    # What a secret holds is not known here.
    env |= {entry["name"]: entry.get("value", "secret") for entry in container.get("env", ())}
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert set(mounts) <= volumes
    return Container(name, _plain(container["command"], container.get("args", ())), env, mounts)


def _plain(command: Sequence[str], arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command without the shell around it that only looks at its exit code."""
    if command[:2] != ["sh", "-c"]:
        return (*command, *arguments)
    inside, _, _after = command[2].partition(' "$@" ||')
    return (*shlex.split(inside), *command[4:], *arguments)
