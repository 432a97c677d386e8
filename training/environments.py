"""Virtual environments of their own, for tools that want older packages than our lock holds."""

import subprocess
import sys
import venv
from pathlib import Path

from flows.errors import TrainingError


def install(folder: Path, pins: Path, tool: str) -> None:
    """Make an environment with pinned versions.

    Raises
    ------
    TrainingError
        pip fails.
    """
    venv.create(folder, with_pip=True, clear=True)
    command = [inside(folder, "python"), "-m", "pip", "install", "--quiet", "-r", str(pins)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        message = f"{tool} could not be installed into {folder}; pip's own words are above"
        raise TrainingError(message)


def inside(folder: Path, command: str) -> str:
    """Return where a command of an environment is, whether it is there or not."""
    windows = sys.platform == "win32"
    return str(folder.absolute() / ("Scripts" if windows else "bin") / command)
