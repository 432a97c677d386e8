"""Start processes apart from this one or tied to its life, and lower their priority."""

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LOWEST_NICENESS = 19
"""Of what may wait for everything else."""

_HERE = Path(__file__).parent
_ISOLATED = (sys.executable, "-I", "-S")
_STDERR = 2


def start_in_own_session(
    command: Sequence[str],
    *,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own: Ctrl-C at this process's terminal does not reach it.

    Windows has no sessions: there Ctrl-C ends the program, too.

    Parameters
    ----------
    env
        Its whole environment; None: this process's own.

    Raises
    ------
    OSError
        No process can be started.
    """
    return subprocess.Popen(  # noqa: S603 (argument lists of our own)
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )


def start_tied(
    command: Sequence[str], env: Mapping[str, str] | None, log: Path | None
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own; on Linux the kernel kills it with this process.

    On macOS :mod:`flows.host.reaper` alone ends it.

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
        The log cannot be opened, no process can be started, or the system has no process groups.
    """
    _require_process_groups()
    command = [*_ISOLATED, str(_HERE / "parent_death.py"), str(os.getpid()), *command]
    with contextlib.ExitStack() as files:
        # Only results go to stdout, and a child's output is never a result.
        out: IO[bytes] | int = _STDERR if log is None else files.enter_context(log.open("ab"))
        return start_in_own_session(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env
        )


def start_reaper() -> "subprocess.Popen[bytes]":
    """Start :mod:`flows.host.reaper`, which reads this process's orders on its stdin.

    Raises
    ------
    OSError
        No process can be started, or the system has no process groups.
    """
    _require_process_groups()
    return start_in_own_session(
        [*_ISOLATED, str(_HERE / "reaper.py")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )


def lower_priority(pid: int, niceness: int) -> None:
    """Let other processes go first, as far as the system has a way and allows it.

    Windows has no niceness: there the priority stays as it is.

    Parameters
    ----------
    pid
        0 for this process.
    niceness
        1 to 19, the higher the less urgent.
    """
    if not hasattr(os, "setpriority"):
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    # Linux may share time between sessions first; one that others belong to is left alone.
    with contextlib.suppress(OSError):
        if os.getsid(pid) == (pid or os.getpid()):
            Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(niceness))


def _require_process_groups() -> None:
    """Refuse a system on which children could outlive this process.

    Raises
    ------
    OSError
        It has no process groups.
    """
    if not hasattr(os, "killpg"):
        message = f"{sys.platform} has no process groups to end children by; use WSL or Docker"
        raise OSError(errno.ENOSYS, message)
