"""How a command line ends, and what its options take: errors are one line and an exit code."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from flows.errors import VoltickError
from flows.host.lossy_output import SAID_BY, tell


def run_command(app: Callable[[], object]) -> None:
    """Run a command line; its errors are one line each, no traceback.

    So is an output, or another file, that the operating system refuses, a full disk above all; a
    reader of the output that has left (``| head``) is no error that anybody waits to be told. What
    the output's encoding does not have, such as a symbol of other letters, is written as an escape.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does it by itself
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # not at the interpreter's end, where nobody could answer an error
    except VoltickError as error:
        tell(f"{SAID_BY}{error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _give_up_output()
        sys.exit(VoltickError.exit_code)
    except OSError as error:
        _give_up_output()
        what = error.filename or "the output"
        tell(f"{SAID_BY}{what}: {error.strerror or error}\n")
        sys.exit(VoltickError.exit_code)


def _give_up_output() -> None:
    """Let what is left of the output go: written once more at the end, it would fail once more."""
    with contextlib.suppress(OSError, ValueError):  # there may be no such descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


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
