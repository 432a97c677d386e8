"""A newcomer's first minute: how long after the command each thing can be seen.

The command runs in a copy of the tree without any cache (compiled kernels, ``__pycache__``,
matplotlib's fonts, a model store), with a home folder of its own, or in a fresh virtual environment
that the tree was installed into. What a newcomer sees is asked of the API as a page would; what
happens behind it is read from the log.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil

from flows.numeric.time import NS_PER_MS
from tests.support.family import Family
from tests.support.polling import free_ports
from tests.support.processes import ROOT, Process

COMMAND = ("-m", "flows.local", "--feed", "simulate")
AIMS_S = {"first score": 4.0, "learned model on warm features": 20.0, "live quality": 30.0}
POLL_S = 0.1
TARGET = "volatility_spike"
# A score is of now where its tick is: the made-up past has been scored before it.
LIVE_MS = 2_000
# What a log line says, and the step that it ends.
_LOGGED = {
    "the embedded broker answers": "broker",
    "the embedded redis answers": "Redis",
    "the feed sends": "feed sends",
    "pipeline ready": "dataflow built",
    "outcomes ready": "outcomes built",
    "a model trained on SIMULATED data is ready": "model published",
}
_KERNELS = {"feature_kernel": "feature kernel compiled", "label_kernel": "label kernel compiled"}


def run(seconds: float, rounds: int, *, venv: bool, profile: bool) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object; steps in seconds."""
    result: dict[str, Any] = {"bench": "first-minute", "aims_s": AIMS_S, "runs": []}
    with _installed(venv=venv) as (python, tree, install_s):
        if install_s is not None:
            result["install_s"] = install_s
        for _ in range(rounds):
            result["runs"].append(_start(python, tree, seconds))
        if profile:
            result["imports_ms"] = _imports(python, tree)
    return result


def logged_steps(lines: Iterator[str], started_s: float) -> dict[str, float]:
    """Return the seconds from the start at which the log first told each step.

    Parameters
    ----------
    lines
        The log as JSON, one event a line; other lines are passed over.
    started_s
        Wall time of the start, seconds since the UNIX epoch.
    """
    steps: dict[str, float] = {}
    for line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(event, dict) or "timestamp" not in event:
            continue
        said = str(event.get("event"))
        step = _LOGGED.get(said)
        if said == "compiled":
            step = _KERNELS.get(str(event.get("kernel")).partition(":")[2])
        if step is not None:
            at_s = datetime.fromisoformat(event["timestamp"]).timestamp()
            steps.setdefault(step, round(at_s - started_s, 2))
    return steps


class Watch:
    """What the API shows, and when it first did.

    Parameters
    ----------
    ask
        Returns the answer to a path; None while there is none.
    clock
        Seconds since the start.
    """

    def __init__(
        self, ask: Callable[[str], dict[str, Any] | None], clock: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._clock = clock
        self.steps: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def look(self) -> None:
        """Ask once for whatever was not seen yet."""
        if "API answers" not in self.steps and self._ask("/health") is None:
            return
        self._note("API answers")
        answer = self._ask("/scores") or {}
        for prediction in answer.get("scores", ()):
            self._look_at(prediction)
        self._look_at_quality()

    def _look_at(self, prediction: Mapping[str, Any]) -> None:
        self._note("first score")
        if prediction["warm"]:
            self._note("first warm score")
        if prediction["event_age_ms"] < LIVE_MS:
            self._note("scores of now")
        variant = prediction["scores"].get(TARGET, {}).get("variant")
        if prediction["warm"] and variant not in (None, "zscore"):
            self._note("learned model on warm features")

    def _look_at_quality(self) -> None:
        points = (self._ask(f"/quality?target={TARGET}&limit=1") or {}).get("points", ())
        for model in points[-1]["models"] if points else ():
            name = str(model.get("variant") or str(model["model"]).partition("@")[0])
            self.counts[name] = model["count"]
            if model["count"]:
                self._note("live quality")
                if name != "zscore":
                    self._note("live quality of a learned model")

    def _note(self, step: str) -> None:
        self.steps.setdefault(step, round(self._clock(), 2))


def _start(python: Path, tree: Path, seconds: float) -> dict[str, Any]:
    """Start the command once, without any cache, and watch it for so long."""
    with tempfile.TemporaryDirectory(prefix="voltick-first-minute-") as name:
        folder = Path(name)
        _remove_caches(tree)
        [port] = free_ports(1)
        family = Family()
        settings = {
            **_fresh(folder, tree),
            **family.settings,
            "VOLTICK_API_PORT": str(port),
            "VOLTICK_MODEL_STORE": str(folder / "models"),
            "VOLTICK_LOG_FORMAT": "json",
            "VOLTICK_LOG_LEVEL": "debug",
        }
        load = os.getloadavg()[0]
        process = Process(COMMAND, folder, settings, python=python)
        wall_s, begin_s = time.time(), time.monotonic()
        with process:
            watch = Watch(_asker(port), lambda: time.monotonic() - begin_s)
            never = threading.Event()
            while process.running and time.monotonic() - begin_s < seconds:
                watch.look()
                never.wait(POLL_S)
            used_s = _processor_s(family)
            process.terminate()
            process.wait_exit(30)
            steps = {**logged_steps(iter(process.stderr.splitlines()), wall_s), **watch.steps}
        return {
            "steps_s": dict(sorted(steps.items(), key=lambda step: step[1])),
            "missed": [aim for aim, limit in AIMS_S.items() if steps.get(aim, limit + 1) > limit],
            "quality_counts": watch.counts,
            "processor_s": used_s,
            "load_before": round(load, 1),
            "load_after": round(os.getloadavg()[0], 1),
        }


def _asker(port: int) -> Callable[[str], dict[str, Any] | None]:
    def ask(path: str) -> dict[str, Any] | None:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            return {"status": error.code}
        except (URLError, OSError, json.JSONDecodeError):
            return None

    return ask


def _fresh(folder: Path, tree: Path) -> dict[str, str]:
    """Return the environment of a user who has never run anything."""
    home = folder / "home"
    temporary = folder / "tmp"
    home.mkdir()
    temporary.mkdir()
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(tree),
        # Python keeps what it has read of the sources, unless whoever measures has it off.
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _remove_caches(tree: Path) -> None:
    for cache in list(tree.rglob("__pycache__")):
        if "site-packages" not in cache.parts:
            shutil.rmtree(cache)


@contextmanager
def _installed(*, venv: bool) -> Iterator[tuple[Path, Path, float | None]]:
    """Copy the tree; install the copy into a new virtual environment, where that is asked for.

    Yields
    ------
    The interpreter, the copy, and the seconds that the installation took; None without one.
    """
    with tempfile.TemporaryDirectory(prefix="voltick-fresh-") as name:
        tree = Path(name) / "voltick"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        for path in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / path).is_file():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, tree / path)
        python, install_s = Path(sys.executable), None
        if venv:
            begin_s = time.monotonic()
            subprocess.run([sys.executable, "-m", "venv", f"{name}/venv"], check=True)
            python = Path(name) / "venv" / "bin" / "python"
            install = [python, "-m", "pip", "install", "--quiet", "-c", tree / "requirements.txt"]
            subprocess.run([*install, "-e", tree], check=True, stdout=sys.stderr)
            install_s = round(time.monotonic() - begin_s, 1)
        yield python, tree, install_s


def _processor_s(family: Family) -> dict[str, float]:
    """Return the processor time that each process has used, by its program."""
    used: dict[str, float] = {}
    for process in family.living():
        try:
            words = process.cmdline()
            times = process.cpu_times()
        except psutil.Error:
            continue
        name = _program(words)
        spent = times.user + times.system + times.children_user + times.children_system
        used[name] = round(used.get(name, 0.0) + spent, 1)
    return used


def _program(words: list[str]) -> str:
    if "-m" in words:
        named = words[words.index("-m") + 1 :][:2]
        return named[-1] if named[0] == "bytewax.run" else named[0]
    return Path(words[0]).name if words else "unknown"


def _imports(python: Path, tree: Path) -> dict[str, dict[str, float]]:
    """Return the ten imports that take longest by themselves in each program, milliseconds."""
    programs = (
        "flows.local.cli",
        "flows.pipeline",
        "flows.ingest",
        "flows.outcomes",
        "serving.app",
    )
    found = {}
    for module in (*programs, "training.retrain"):
        done = subprocess.run(
            [python, "-X", "importtime", "-c", f"import {module}"],
            cwd=tree,
            check=True,
            capture_output=True,
            text=True,
        )
        found[module] = longest_imports(done.stderr)
    return found


def longest_imports(report: str, count: int = 10) -> dict[str, float]:
    """Return ``total`` and the packages whose imports take longest, milliseconds.

    Parameters
    ----------
    report
        What ``python -X importtime`` says.
    """
    own: dict[str, float] = {}
    for line in report.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if len(fields) != 3 or not fields[0].strip().isdigit():
            continue
        package = fields[2].strip().partition(".")[0]
        own[package] = own.get(package, 0.0) + int(fields[0]) * 1_000 / NS_PER_MS
    longest = sorted(own.items(), key=lambda each: -each[1])[:count]
    return {"total": round(sum(own.values()), 1)} | {
        name: round(spent_ms, 1) for name, spent_ms in longest
    }
