"""Run a program that the kernel kills when its parent dies (standard library alone, run by path).

``python -I -S parent_death.py PARENT_PID PROGRAM [ARGUMENT ...]`` asks the kernel to SIGKILL this
process when its parent ends, then replaces itself by PROGRAM; the request survives ``exec``.
Only Linux has such a request; elsewhere :mod:`flows.host.reaper` alone ends the program. The
request is tied to the *thread* that started this process, so the supervisor starts children from a
thread that lives as long as itself.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Request the signal, then become the program."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the request was made
        raise SystemExit(1)
    # What Python or a shell's "&" ignores would stay ignored in the program.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 (the supervisor's own argument list)


if __name__ == "__main__":
    main(sys.argv[1:])
