"""One child process: its name, its rank, how it ended."""

import subprocess
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from flows.errors import VoltickError


class ChildEndedError(VoltickError):
    """A process of the run ended before its time and has said why."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class Rank(IntEnum):
    """The order in which children are ended: the highest first.

    Servers hold everything in memory: they are killed at once (:mod:`flows.host.reaper`).
    """

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
