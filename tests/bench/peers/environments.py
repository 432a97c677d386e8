"""A virtual environment for each peer, made from its pinned file when it is first needed."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.kafka.jars import cache_folder

REQUIREMENTS = Path(__file__).with_name("requirements")
INSTALL_LIMIT_S = 1_800.0


class PeerUnavailableError(Exception):
    """A peer cannot run on this machine; the message is the reason."""


def default_cache() -> Path:
    """Return where environments are kept, if not said otherwise: outside of the repository."""
    return cache_folder() / "peers"


def python_of(name: str, cache: Path) -> Path:
    """Return the interpreter of an environment, installing into it at first use.

    The environment is named by the hash of its file: a changed pin makes a new one. One that was
    interrupted while it was made is made anew.

    Parameters
    ----------
    name
        Of the file in ``requirements``, without its ending.
    cache
        Folder of all environments; made if it is missing.

    Raises
    ------
    PeerUnavailableError
        What is needed could not be installed.
    """
    pins = REQUIREMENTS / f"{name}.txt"
    folder = cache / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Scripts in an environment name its folder, so it cannot be made elsewhere and renamed.
        whole = folder / "whole"
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, pins)
            whole.touch()
    return folder / "bin" / "python"


def _make(folder: Path, pins: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], f"no environment for {pins.stem}")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run([*pip, "-r", str(pins)], f"{pins.name} could not be installed")


def _run(command: list[str], trouble: str) -> None:
    """Run a command at low priority.

    Raises
    ------
    PeerUnavailableError
        It failed.
    """
    nice = shutil.which("nice")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        try:
            done = subprocess.run(
                [*([nice, "-n", "10"] if nice else []), *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
                timeout=INSTALL_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as slow:
            message = f"{trouble} within {INSTALL_LIMIT_S:g} s"
            raise PeerUnavailableError(message) from slow
        if done.returncode != 0:
            said.seek(0)
            lines = [line for line in said.read().splitlines() if "error" in line.lower()]
            message = f"{trouble}: {' '.join(lines[:2])[:300]}"
            raise PeerUnavailableError(message)
