"""One child process: started, named, tied to this process."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import IO

from flows.errors import VoltickError

_HERE = Path(__file__).parent
_ISOLATED = (sys.executable, "-I", "-S")
_STDERR = 2


class ChildEndedError(VoltickError):
    """A process of the run ended before its time and has said why."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class Rank(IntEnum):
    """The order in which children are ended: the highest first."""

    SERVER = 0
    APPLICATION = 1


@dataclass(frozen=True)
class Child:
    """One supervised process.

    Attributes
    ----------
    essential
        The run is over when it ends, even without an error.
    log
        File that its output goes to; None: this process's stderr.
    """

    name: str
    popen: "subprocess.Popen[bytes]"
    essential: bool
    log: Path | None

    @property
    def pid(self) -> int:
        """Process id; it leads its own session and process group."""
        return self.popen.pid

    def tail(self, size: int = 600) -> str:
        """Return the last characters of its output; empty where that is not kept in a file."""
        if self.log is None or not self.log.exists():
            return ""
        return self.log.read_text("utf-8", errors="replace")[-size:].strip()


@dataclass(frozen=True)
class Ended:
    """A child that ended the run; ``said`` is the end of its log file.

    Attributes
    ----------
    explained
        Whether the log tells already why.
    """

    child: Child
    exit_code: int
    said: str
    explained: bool = False


def start_program(
    command: Sequence[str], env: Mapping[str, str] | None, log: Path | None
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own; on Linux the kernel kills it with this process.

    Parameters
    ----------
    command
        Program and arguments.
    env
        Its whole environment; None: this process's own.
    log
        File that its output is appended to; None: this process's stderr.

    Raises
    ------
    OSError
        The log cannot be opened or no process can be started.
    """
    command = [*_ISOLATED, str(_HERE / "parent_death.py"), str(os.getpid()), *command]
    with contextlib.ExitStack() as files:
        # Only results go to stdout, and a child's output is never a result.
        out: IO[bytes] | int = _STDERR if log is None else files.enter_context(log.open("ab"))
        return subprocess.Popen(  # noqa: S603 (argument lists of our own)
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=env,
            start_new_session=True,
        )


def start_reaper() -> "subprocess.Popen[bytes]":
    """Start :mod:`flows.local.reaper`, which reads this process's orders on its stdin."""
    return subprocess.Popen(  # noqa: S603 (our own file)
        [*_ISOLATED, str(_HERE / "reaper.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
