"""Waiting for conditions, free ports and children that die with the test process."""

import ctypes
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def until(
    condition: Callable[[], T],
    what: str,
    deadline_s: float = 30.0,
    every_s: float = 0.02,
) -> T:
    """Ask until the answer is true and return it; fail, saying what was waited for."""
    never = threading.Event()
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            message = f"waited {deadline_s:g} s in vain for: {what}"
            raise TimeoutError(message)
        never.wait(every_s)


def pause(seconds: float) -> None:
    """Let time pass where the passing of time itself is the input (a proof's seeded moments)."""
    threading.Event().wait(seconds)


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that the operating system had free just now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def die_with_parent() -> None:
    """Ask the kernel to SIGKILL this process when the thread that started it ends (Linux).

    For ``preexec_fn``. The signal is tied to the starting *thread*: start children that must
    outlive a thread from the main one.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def listening(port: int) -> bool:
    """Tell whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
