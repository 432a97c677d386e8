"""How a command line ends: an error that the operator can act on is one line and an exit code."""

import sys
from collections.abc import Callable

from flows.errors import VoltickError


def run_command(app: Callable[[], object]) -> None:
    """Run a command line; its errors are one line each, no traceback."""
    try:
        app()
    except VoltickError as error:
        sys.stderr.write(f"voltick: {error}\n")
        sys.exit(error.exit_code)
