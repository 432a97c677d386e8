"""A peer as a process: its whole tree's processor time and memory, by ``/proc``.

Children may come and go (workers, a JVM) and may be reparented, so the tree is every process of the
session that the peer was started in.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from tests.support.polling import die_with_parent, until
from tests.support.processes import clean_environment

SAMPLE_EVERY_S = 0.1
END_LIMIT_S = 20.0
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat behind the command's name.
_STATE, _SESSION, _TIMES, _RSS = 0, 3, slice(11, 13), 21
_GONE_CHILDREN = slice(13, 15)


@dataclass(frozen=True)
class Usage:
    """What a session's processes have used.

    Attributes
    ----------
    cpu_s
        User and system time, of children that were waited for, too.
    rss_bytes
        Resident now; pages that processes share count for each.
    pids
        Who is alive.
    """

    cpu_s: float
    rss_bytes: int
    pids: list[int]


def usage_of(session: int) -> Usage:
    """Return what the processes of a session have used."""
    cpu_s, rss, pids = 0.0, 0, []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[_SESSION]) != session or fields[_STATE] == "Z":
            continue
        cpu_s += sum(map(int, fields[_TIMES] + fields[_GONE_CHILDREN])) * _TICK_S
        rss += int(fields[_RSS]) * _PAGE
        pids.append(int(folder.name))
    return Usage(cpu_s, rss, pids)


class PeerProcess:
    """A peer in a session of its own, watched by a thread; a context manager that kills it.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Where it runs and leaves what it says.
    settings
        Environment variables beside the caller's, of which none of the product's is passed on.
    name
        Base of the output file.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, settings: Mapping[str, str], name: str
    ) -> None:
        self._command = list(command)
        self._folder = folder
        self._settings = dict(settings)
        self.log = folder / f"{name}.log"
        self.started_ns = 0
        self.peak_rss_bytes = 0
        self._samples: list[tuple[int, float]] = []
        self._popen: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="peer-watcher", daemon=True)

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.started_ns = time.time_ns()
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=clean_environment(self._settings),
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Process id, which is the session's."""
        assert self._popen is not None, "not started"
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process that was started has not ended."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code; negative where a signal ended it; none while it runs."""
        return None if self._popen is None else self._popen.poll()

    def cpu_between_s(self, begin_ns: int, end_ns: int) -> float:
        """Return the processor time used between two moments of the wall clock."""
        at = np.array([ns for ns, _ in self._samples], np.float64)
        # What has ended is gone from the sum of those that live; its time was used all the same.
        used = np.maximum.accumulate([cpu_s for _, cpu_s in self._samples])
        first, last = np.interp([begin_ns, end_ns], at, used)
        return float(last - first)

    def kill(self) -> None:
        """SIGKILL everything at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
            try:
                assert self._popen is not None
                self._popen.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                pass  # killed below
        self._end(signal.SIGKILL)

    def tail(self, lines: int = 12) -> str:
        """Return the last lines that it wrote."""
        text = self.log.read_text("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _end(self, how: signal.Signals) -> None:
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if self._popen is None:
            return

        def gone() -> bool:
            for pid in usage_of(self.pid).pids:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    continue
            self.running  # noqa: B018 (reaps the child)
            return not usage_of(self.pid).pids

        until(gone, "the peer's processes to end", END_LIMIT_S)

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            used = usage_of(self.pid)
            self._samples.append((time.time_ns(), used.cpu_s))
            self.peak_rss_bytes = max(self.peak_rss_bytes, used.rss_bytes)
