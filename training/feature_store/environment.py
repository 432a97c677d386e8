"""The virtual environment that Feast runs in, and its command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from flows.errors import TrainingError
from training import environments
from training.feature_store.definitions import REDIS_VARIABLE

PINS = Path(__file__).with_name("requirements.txt")


def install(folder: Path) -> None:
    """Make the environment, with the pinned versions.

    Raises
    ------
    TrainingError
        pip fails.
    """
    environments.install(folder, PINS, "Feast")


def find(folder: Path) -> str:
    """Return Feast's command: of the environment, else of the search path.

    Raises
    ------
    TrainingError
        There is none.
    """
    known = environments.inside(folder, "feast")
    found = known if Path(known).exists() else shutil.which("feast")
    if found is None:
        message = (
            f"Feast is not installed in {folder}; python -m training.feast install puts it there,"
            " beside the pinned versions that it needs"
        )
        raise TrainingError(message)
    return found


def run(
    feast: str, repository: Path, arguments: Sequence[str], redis_url: SecretStr | None
) -> None:
    """Run Feast over a repository; what it says goes to stderr.

    Raises
    ------
    TrainingError
        There is no such repository, REDIS_URL is not set, or Feast fails.
    """
    if not (repository / "feature_store.yaml").exists():
        message = f"{repository} is no feature repository; python -m training.feast generate is"
        raise TrainingError(message)
    if redis_url is None:
        message = "REDIS_URL is not set; Feast serves features from there"
        raise TrainingError(message)
    done = subprocess.run(  # noqa: S603
        [feast, "--chdir", str(repository), *arguments],
        env={**os.environ, REDIS_VARIABLE: redis_address(redis_url.get_secret_value())},
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode:
        message = f"feast {arguments[0]} failed; its own words are above"
        raise TrainingError(message)


def redis_address(url: str) -> str:
    """Return a ``redis://`` or ``rediss://`` URL as Feast writes it, with commas."""
    parts = urlsplit(url)
    made = [f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"]
    named = {
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": parts.path.strip("/"),
        "ssl": "true" if parts.scheme == "rediss" else "",
    }
    return ",".join([*made, *(f"{name}={value}" for name, value in named.items() if value)])
