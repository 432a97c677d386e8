"""Read the settings from the environment and the folder's ``.env``."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from flows.errors import ConfigurationError
from flows.host.locks import has_file_locks
from flows.settings.dotenv_file import read_dotenv
from flows.settings.environment import (
    OTHER_NAMES,
    PREFIX,
    plain_text,
    refuse_unknown,
    with_secret_files,
    without_service_links,
)
from flows.settings.model import Settings, build, secret_variables, variables

NOT_HERE = (
    "Voltick runs on Linux and macOS; on Windows run the same command in WSL (`wsl --install`), or"
    " `docker\\voltick.ps1 up` with Docker Desktop"
)


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings, as every command does first; refuse a system without file locks.

    Parameters
    ----------
    env
        Variables to read instead of the process's environment over the folder's ``.env``.

    Raises
    ------
    ConfigurationError
        A ``VOLTICK_*`` variable is unknown or a value unusable; the message names both. Or this
        is Windows, where two writers could not be kept apart.
    """
    if not has_file_locks():
        raise ConfigurationError(NOT_HERE)
    known = set(variables().values())
    stored: Mapping[str, str] = {}
    if env is None:
        env = os.environ
        names = "|".join(sorted(known | OTHER_NAMES.keys()))
        ours = re.compile(f"{names}|{PREFIX}.*", re.IGNORECASE)
        stored = read_dotenv(Path(".env"), ours, env)
    # A file's values are without quotes already, and a value there may begin and end with some.
    given = without_service_links(env, known)
    values = {**stored, **{name: plain_text(name, value) for name, value in given.items()}}
    values = with_secret_files(values, secret_variables(), Path.read_bytes)
    refuse_unknown(values, known)
    return build({name: value for name, value in values.items() if name in known})
