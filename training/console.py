"""Shared by the commands of this package: progress on stderr, one-line errors, exit codes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from flows.host.command import run_command
from flows.host.lossy_output import tell
from flows.host.temporary import find_place_for_temporary_files
from schemas.training import ExitCode

MAX_SEED = 2**32 - 1
"""The largest seed that scikit-learn takes."""


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress bars on stderr while the block runs; silent where stderr is no terminal."""
    console = Console(stderr=True)
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        yield bars


def command(app: typer.Typer | Callable[[], None]) -> None:
    """Run a command line as :func:`flows.host.command.run_command` does."""
    find_place_for_temporary_files()
    try:
        run_command(app)
    except KeyboardInterrupt:
        sys.exit(130)


def say(line: str) -> None:
    """Write one result line to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stay_challenger(reasons: Sequence[str]) -> NoReturn:
    """End a command whose candidate is published but did not become champion."""
    tell(f"stays a challenger: {'; '.join(reasons)}\n")
    raise typer.Exit(ExitCode.STAYED_CHALLENGER)
