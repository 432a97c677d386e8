"""How a command line ends, and what its options take: errors are one line and an exit code."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from flows.errors import VoltickError


def run_command(app: Callable[[], object]) -> None:
    """Run a command line; its errors are one line each, no traceback."""
    try:
        app()
    except VoltickError as error:
        sys.stderr.write(f"voltick: {error}\n")
        sys.exit(error.exit_code)


def on_this_machine(path: Path | None) -> Path | None:
    """Return a path as it is, refusing an address: a callback of options that name a path.

    Raises
    ------
    typer.BadParameter
        It is the address of a bucket or the like, of which a path makes a folder's odd name.
    """
    if path is not None and path.parts and re.fullmatch(r"[A-Za-z][\w+.-]+:", path.parts[0]):
        message = f"{path.parts[0]}// is an address; this takes a path of this machine"
        raise typer.BadParameter(message)
    return path
