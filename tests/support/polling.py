"""Waiting for conditions, free ports and children that die with the test process."""

import ctypes
import fcntl
import itertools
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_FIRST_PORT = 12_000
_STRETCH = 2_000
_STRETCHES = 8
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
    """Return ports on loopback that are free and are given to nobody else soon.

    They lie below the range from which systems serve outgoing connections, and each stays reserved
    for this process by a file's lock: a server that takes seconds to start still finds its port
    free, other test runs on the machine or not.
    """
    return [next(_PORTS) for _ in range(count)]


def _ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST_PORT + worker % _STRETCHES * _STRETCH
    for step in itertools.count(os.getpid()):
        port = first + step % _STRETCH
        if is_free(port) and _reserve(port):
            yield port


def is_free(port: int) -> bool:
    """Tell whether a server could take this loopback port now."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reserve(port: int) -> bool:
    """Lock a port's file until this process ends; False where another process holds it."""
    folder = Path(tempfile.gettempdir()) / f"voltick-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = (folder / str(port)).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _RESERVED.append(lock)
    return True


_RESERVED: list[IO[str]] = []
_PORTS = _ports()


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to end this process when the thread that started it ends (Linux).

    For ``preexec_fn``. The signal is tied to the starting *thread*: start children that must
    outlive a thread from the main one.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, how)


def listening(port: int) -> bool:
    """Tell whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
