"""Read the settings from the environment and the folder's ``.env``."""

import difflib
import os
from collections.abc import Iterable, Mapping

from dotenv import dotenv_values

from flows.errors import ConfigurationError
from flows.settings.model import Settings, build, variables

# The test suite's own variables share the prefix and are none of the product's business.
FOREIGN_PREFIX = "VOLTICK_TEST_"


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Parameters
    ----------
    env
        Variables to read instead of the process's environment over the folder's ``.env``.

    Raises
    ------
    ConfigurationError
        A ``VOLTICK_*`` variable is unknown or a value unusable; the message names both.
    """
    if env is None:
        stored = {k: v for k, v in dotenv_values(".env").items() if v is not None}
        env = {**stored, **os.environ}
    known = set(variables().values())
    _refuse_unknown(env, known)
    return build({name: value for name, value in env.items() if name in known})


def _refuse_unknown(names: Iterable[str], known: set[str]) -> None:
    for name in sorted(names):
        if (
            name.startswith("VOLTICK_")
            and name not in known
            and not name.startswith(FOREIGN_PREFIX)
        ):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "flows/README.md lists all settings"
            message = f"{name} is not a setting of Voltick; {hint}"
            raise ConfigurationError(message)
