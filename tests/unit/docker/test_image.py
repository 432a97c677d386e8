"""The image: its file is sound, holds the code once, and runs without root and without a disk."""

import fnmatch
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flows.features import feature_kernel
from flows.numeric.compiled import Kernel
from flows.settings import load_settings
from flows.targets.realize import label_kernel
from tests.support.containers import (
    DOCKERFILE,
    ROOT,
    dependencies,
    healthcheck,
    image_env,
    instructions,
)

LAST_STAGE = DOCKERFILE.read_text("utf-8").rpartition("\nFROM ")[2]


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if linter is None:
        pytest.skip("hadolint has no wheel for this system")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_holds_the_code_once_and_runs_without_root() -> None:
    copied = re.findall(r"^COPY (.*)$", LAST_STAGE, re.MULTILINE)
    assert copied == [
        "--from=build /opt/voltick /opt/voltick",
        "--from=sbom /sbom.cdx.json /opt/voltick/sbom.cdx.json",
    ]
    users = [value for name, value in instructions() if name == "USER"]
    assert users == ["10001"]  # a number: Kubernetes can tell that it is not root
    assert LAST_STAGE.index("\nUSER ") > LAST_STAGE.index("\nRUN ")
    assert "HEALTHCHECK" in LAST_STAGE


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


def sources() -> Iterator[str]:
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from"):
            yield from arguments.split()[:-1]


@pytest.mark.parametrize("source", list(sources()), ids=lambda path: path.replace("/", "-"))
def test_the_build_is_given_what_it_copies(source: str) -> None:
    assert (ROOT / source).exists()
    assert not ignored(source)


LEFT_OUT = {
    "history": ".git/HEAD",
    "secrets": ".env",
    "secrets-of-compose": "docker/.env",
    "tests": "tests/conftest.py",
    "models": ".voltick/models/x",
    "guides": "docker/README.md",
    "compiled-code": "flows/features/__pycache__/kernel.run-1.py311.nbi",
}


@pytest.mark.parametrize("path", LEFT_OUT.values(), ids=LEFT_OUT)
def test_the_build_is_given_nothing_else(path: str) -> None:
    assert ignored(path)
    assert not ignored("flows/features/kernel.py")


def test_the_build_installs_what_the_project_asks_for() -> None:
    found = dependencies().requirements(ROOT / "pyproject.toml", ["mlflow"])
    assert {"mlflow>=2.18", "pyarrow>=18"} <= set(found)
    assert not any(line.startswith("pytest") for line in found)


def test_an_extra_that_is_not_there_ends_the_build() -> None:
    with pytest.raises(KeyError):
        dependencies().requirements(ROOT / "pyproject.toml", ["mlfow"])


@pytest.mark.parametrize("processor", ["amd64", "arm64"])
def test_the_images_variables_are_settings_or_anothers(processor: str) -> None:
    env = image_env(processor)
    settings = load_settings(env)
    assert str(settings.model_store) == "/var/lib/voltick/models"
    assert str(settings.archive) == "/var/lib/voltick/archive"
    assert env["NUMBA_CPU_NAME"]
    assert env["NUMBA_CPU_FEATURES"] == ""


def test_the_image_compiles_every_kernel() -> None:
    [line] = [text for name, text in instructions() if name == "RUN" and "precompile" in text]
    named = re.findall(r"flows\.[\w.]+:\w+", line)
    assert all(isinstance(pkgutil.resolve_name(name)(), Kernel) for name in named)
    found = {pkgutil.resolve_name(name)() for name in named}
    assert {feature_kernel(), label_kernel()} <= found


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
        assert check.main([f"http://127.0.0.1:{port}/elsewhere"]) == 1
        monkeypatch.delenv("VOLTICK_METRICS_PORT")
        monkeypatch.setenv("VOLTICK_API_PORT", port)
        assert check.main() == 1
        server.shutdown()
    monkeypatch.setenv("VOLTICK_METRICS_PORT", port)
    assert check.main() == 1
