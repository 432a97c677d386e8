"""The scripts of docker/: what each command calls, and that both scripts call the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.containers import DOCKER, OVERLAYS, compose

BASH = DOCKER / "voltick.sh"
POWERSHELL = DOCKER / "voltick.ps1"
COMMANDS = (
    *("up", "update", "pause", "resume", "stop", "delete", "status", "logs", "repair"),
    "port-forward",
)
# Writes its name and arguments to a file, and answers some questions.
FAKE = """#!/bin/sh
[ "$*" = "compose version" ] && exit "${NO_COMPOSE:-0}"
if [ "$*" = "config current-context" ]; then echo "${CONTEXT:-}"; exec [ -n "${CONTEXT:-}" ]; fi
echo "${0##*/} $*" >> "$CALLS"
case "$*" in
  *"get deployments --output name") printf 'deployment.apps/api\\ndeployment.apps/pipeline\\n' ;;
  *"get statefulsets --output name") echo statefulset.apps/kafka ;;
  *"get cronjobs --output name") echo cronjob.batch/retrain-spike ;;
  *"deployment/pipeline --output jsonpath={.spec.replicas}") echo 3 ;;
  *"api --output jsonpath={.spec.replicas}") echo 0 ;;
  *"pipeline --output jsonpath={.spec.replicas}") echo 3 ;;
  *"voltick\\\\.io/replicas}") echo 3 ;;
  *"pipeline --output jsonpath={.status.unavailableReplicas}") echo 1 ;;
  *"health=unhealthy"*) echo 1a2b3c ;;
esac
"""
ALL = "compose -f {here}/compose.yaml --profile full --profile alerts"
FULL = "compose -f {here}/compose.yaml --profile full"
CORE = "compose -f {here}/compose.yaml"
BUILD = "docker build -f {here}/Dockerfile -t voltick:local {here}/.."
LOAD = ["kind load docker-image voltick:local --name trial"]
IN = "kubectl --namespace voltick"

CALLS = {
    "up": (["up"], [f"docker {CORE} up --build --detach --wait"]),
    "up-full": (["--full", "up"], [f"docker {FULL} up --build --detach --wait"]),
    "update": (
        ["update", "api"],
        [f"docker {ALL} build api", f"docker {ALL} up --detach --wait --no-deps api"],
    ),
    "pause": (["pause", "ingest"], [f"docker {ALL} pause ingest"]),
    "resume": (["resume", "ingest"], [f"docker {ALL} unpause ingest"]),
    "stop": (["stop"], [f"docker {ALL} stop"]),
    "delete": (["--yes", "delete"], [f"docker {ALL} down --volumes --remove-orphans"]),
    "status": (["status"], [f"docker {ALL} ps --all"]),
    "logs": (["logs", "api"], [f"docker {ALL} logs --tail 200 --follow api"]),
    "repair": (
        ["repair"],
        [
            "docker ps --filter health=unhealthy"
            " --filter label=com.docker.compose.project=voltick --quiet",
            "docker restart 1a2b3c",
            f"docker {CORE} up --detach --wait --no-build",
        ],
    ),
    "port-forward": (["port-forward"], []),
    "cluster-update": (
        ["--cluster", "update", "api"],
        [
            BUILD,
            *LOAD,
            f"{IN} rollout restart deployment/api",
            f"{IN} rollout status deployment/api --timeout 10m",
        ],
    ),
    "cluster-pause": (
        ["--cluster", "pause", "pipeline"],
        [
            f"{IN} get deployment/pipeline --output jsonpath={{.spec.replicas}}",
            f"{IN} annotate deployment/pipeline --overwrite voltick.io/replicas=3",
            f"{IN} scale deployment/pipeline --replicas 0",
        ],
    ),
    "cluster-stop-one": (
        ["--cluster", "stop", "pipeline"],
        [
            f"{IN} get deployment/pipeline --output jsonpath={{.spec.replicas}}",
            f"{IN} annotate deployment/pipeline --overwrite voltick.io/replicas=3",
            f"{IN} scale deployment/pipeline --replicas 0",
        ],
    ),
    "cluster-delete": (
        ["--cluster", "--yes", "--overlay", "production", "delete"],
        ["kubectl delete --kustomize {here}/kubernetes/overlays/production"],
    ),
    "cluster-repair": (
        ["--cluster", "repair"],
        [
            f"{IN} delete pods --field-selector status.phase=Failed",
            f"{IN} get deployments --output name",
            f"{IN} get deployment.apps/api --output jsonpath={{.status.unavailableReplicas}}",
            f"{IN} get deployment.apps/pipeline --output jsonpath={{.status.unavailableReplicas}}",
            f"{IN} rollout restart deployment.apps/pipeline",
        ],
    ),
}


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A folder with engines that only say what they were asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "kubectl", "kind"):
        (folder / name).write_text(FAKE)
        (folder / name).chmod(0o755)
    return folder


def call(
    engines: Path, *words: str, given: str = "", **environment: str
) -> tuple["subprocess.CompletedProcess[str]", list[str]]:
    calls = engines.parent / "calls"
    calls.write_text("")
    done = subprocess.run(
        [BASH, *words],
        env={
            "PATH": f"{engines}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(calls),
            "CONTEXT": "kind-trial",
            **environment,
        },
        input=given,
        capture_output=True,
        text=True,
        timeout=150,
    )
    return done, calls.read_text().splitlines()


@pytest.mark.parametrize("case", CALLS)
def test_a_command_makes_these_calls(case: str, engines: Path) -> None:
    words, wanted = CALLS[case]
    done, calls = call(engines, *words)
    assert done.returncode == 0, done.stderr
    assert calls == [line.replace("{here}", str(DOCKER)) for line in wanted]


def test_a_cluster_is_brought_up_as_it_was(engines: Path) -> None:
    done, calls = call(engines, "--cluster", "up")
    assert done.returncode == 0, done.stderr
    assert calls[:2] == [BUILD.replace("{here}", str(DOCKER)), *LOAD]
    assert calls[2] == f"kubectl apply --kustomize {DOCKER}/kubernetes/overlays/local"
    assert f"{IN} scale statefulset.apps/kafka --replicas 3" in calls
    assert calls[-1].startswith(f"{IN} wait --for condition=Available")


def test_what_is_paused_already_keeps_its_number(engines: Path) -> None:
    _done, calls = call(engines, "--cluster", "stop")
    assert not [line for line in calls if "annotate deployment.apps/api" in line]
    assert f"{IN} scale deployment.apps/pipeline --replicas 0" in calls


def test_nothing_is_deleted_without_a_yes(engines: Path) -> None:
    done, calls = call(engines, "delete", given="no\n")
    assert (done.returncode, calls) == (2, [])
    assert "nothing was deleted" in done.stderr


@pytest.mark.parametrize(
    "words", [[], ["raise"], ["--fast", "up"], ["update"], ["--overlay", "moon", "up"]], ids=str
)
def test_what_cannot_be_meant_is_refused(words: list[str], engines: Path) -> None:
    done, calls = call(engines, *words)
    assert (done.returncode, calls) == (2, [])
    assert done.stderr


def test_docker_without_compose_is_named(engines: Path) -> None:
    done, calls = call(engines, "up", NO_COMPOSE="125")
    assert (done.returncode, calls) == (2, [])
    assert "docker has no compose plugin" in done.stderr
    done, calls = call(engines, "--cluster", "status", NO_COMPOSE="125")
    assert (done.returncode, len(calls)) == (0, 1)


@pytest.mark.parametrize("command", ["up", "status", "delete"])
def test_without_a_cluster_nothing_is_built_or_asked(command: str, engines: Path) -> None:
    done, calls = call(engines, "--cluster", "--yes", command, CONTEXT="")
    assert (done.returncode, calls) == (2, [])
    assert "kubectl has no context" in done.stderr


def test_what_is_done_to_a_cluster_says_to_which(engines: Path) -> None:
    done, calls = call(engines, "--cluster", "delete", given="no\n", CONTEXT="the-real-one")
    assert (done.returncode, calls) == (2, [])
    assert "on the cluster of kubectl's context the-real-one" in done.stderr


def test_a_linter_finds_nothing_in_the_scripts() -> None:
    linter = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or "shellcheck"
    scripts = [BASH, DOCKER / "alertmanager" / "start.sh"]
    done = subprocess.run([linter, *scripts], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_help_names_every_command_and_overlay() -> None:
    for script in (BASH, POWERSHELL):
        head = script.read_text("utf-8").split("set -euo")[0].split("#>")[0]
        assert [name for name in COMMANDS if name not in head] == []
    assert {path.name for path in (DOCKER / "kubernetes/overlays").iterdir()} == set(OVERLAYS)


def test_forwarded_ports_are_those_that_compose_publishes() -> None:
    text = BASH.read_text("utf-8")
    [listed] = re.findall(r"^forwarded=\((.*)\)$", text, re.MULTILINE)
    forwarded = dict(pair.split(":") for pair in listed.split())
    published = {
        name: port.split(":")[1]
        for name, told in compose()["services"].items()
        for port in told.get("ports", ())
        if name not in {"kafka", "alertmanager"}
    }
    assert published.items() <= forwarded.items()
    [table] = re.findall(r"\$Forwarded = \[ordered\]@\{ (.*) \}", POWERSHELL.read_text("utf-8"))
    assert dict(re.findall(r"'([a-z-]+)' = (\d+)", table)) == forwarded


def _bash_words(way: str, command: str) -> set[str]:
    """Return the subcommands and options that a command of the bash script hands on."""
    name = f"{way}_{command.replace('-', '_')}"
    text = BASH.read_text("utf-8")
    found = re.search(rf"^{name}\(\) \{{(.*?)(^\}}|\}}\n)", text, re.MULTILINE | re.DOTALL)
    assert found, name
    return _handed_on(found[1])


def _powershell_words(way: str, command: str) -> set[str]:
    text = POWERSHELL.read_text("utf-8").split(f"function Invoke-By{way.title()}")[1]
    text = text.split("\nfunction ")[0]
    found = re.search(
        rf"^        '{command}' \{{(.*?)(?=^        '|^    \}}$)", text, re.MULTILINE | re.DOTALL
    )
    assert found, command
    return _handed_on(found[1])


def _handed_on(body: str) -> set[str]:
    words = set(re.findall(r"--[a-z][a-z-]+|condition=\w+|status\.phase=\w+|health=\w+", body))
    return words - {"--profile", "--namespace", "--output"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("way", ["compose", "cluster"])
def test_both_scripts_hand_the_same_on(way: str, command: str) -> None:
    assert _powershell_words(way, command) == _bash_words(way, command)
