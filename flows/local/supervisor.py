"""Child processes that end with this one, however it ends.

Three lines of defence: :meth:`Supervisor.stop` on every orderly end, the reaper process (another
session, a pipe) when this process was killed, and on Linux the kernel's parent-death signal.
"""

import atexit
import contextlib
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.errors import VoltickError
from flows.host.processes import start_reaper, start_tied
from flows.host.temporary import SHARED_MEMORY
from flows.local.child import Child, Ended, Rank

_POLL_S = 0.05
_REAPER_S = 15.0


class Supervisor:
    """Start children, watch them, end them; a context manager.

    Parameters
    ----------
    on_end
        Called once, from the watching thread and after all others were stopped, with the first
        child that ended with an error or was essential.

    Raises
    ------
    VoltickError
        No folder for logs can be made, or no process be started.
    """

    def __init__(self, on_end: Callable[[Ended], None] | None = None) -> None:
        self._on_end = on_end
        self._children: list[Child] = []
        self._watched: set[int] = set()
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._ended: Ended | None = None
        self._over = threading.Event()
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.folder = _scratch_folder()
        try:
            self._reaper = start_reaper()
        except OSError as error:
            self.folder.rmdir()
            message = f"the all-in-one run cannot start processes here: {error}"
            raise VoltickError(message) from error
        self._tell(f"dir {self.folder}")
        atexit.register(self.stop)
        # The parent-death signal fires when the thread that forked ends: this one never does.
        threading.Thread(target=self._fork_forever, name="fork", daemon=True).start()
        threading.Thread(target=self._watch, name="watch-children", daemon=True).start()

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        rank: Rank = Rank.APPLICATION,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        essential: bool = True,
        watched: bool = True,
    ) -> Child:
        """Start a program in a session of its own, tied to this process.

        Parameters
        ----------
        command
            Program and arguments.
        env
            Its whole environment; this process's own if none.
        log
            Where its output goes; none: to this process's stderr.
        essential
            The run is over when it ends, even without an error.
        watched
            False: its end is not noticed until :meth:`watch` is called.

        Raises
        ------
        VoltickError
            The program cannot be started, or everything is being stopped.
        """
        answer: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()

        def fork() -> None:
            try:
                answer.put(start_tied(command, env, log))
            except BaseException as error:  # the caller waits for an answer, whatever it is
                answer.put(error)

        with self._lock:
            if self._stopped.is_set():
                message = f"{name} is not started: the run is being stopped"
                raise VoltickError(message)
            self._requests.put(fork)
            popen = answer.get()
            if isinstance(popen, BaseException):
                message = f"{name} cannot be started: {popen}"
                raise VoltickError(message) from popen
            self._tell(f"+{popen.pid} {int(rank)}")
            child = Child(name, popen, essential, log)
            self._children.append(child)
            if watched:
                self._watched.add(child.pid)
        return child

    def watch(self, child: Child) -> None:
        """From now on, notice when this child ends."""
        self._watched.add(child.pid)

    def end(self, child: Child, timeout_s: float = 5.0) -> int:
        """End one child and return its exit code."""
        with self._lock:
            if child in self._children:
                self._children.remove(child)
        child.popen.terminate()
        try:
            code = child.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.popen.kill()
            code = child.popen.wait()
        self._tell(f"-{child.pid}")
        return code

    def wait(self, timeout_s: float | None = None) -> Ended | None:
        """Wait until a child ended the run; none if the time is up first."""
        self._over.wait(timeout_s)
        return self._ended

    def stopping(self, timeout_s: float = 0.0) -> bool:
        """Wait so long, or until everything is being stopped; return whether it is."""
        return self._stopped.wait(timeout_s)

    def stop(self, then: Callable[[], object] | None = None) -> None:
        """End all children and the reaper, remove the scratch folder; harmless if repeated.

        Parameters
        ----------
        then
            Called at the end, before another thread that stops everything, too, may go on.
        """
        with self._lock:
            if not self._stopped.is_set():
                self._stop()
            if then is not None:
                then()

    def end_run(self, ended: Ended) -> None:
        """End all children, in the order of their ranks, because of one; unless that is under way.

        The child itself may still run: a server is ended behind the applications that use it.
        """
        with self._lock:
            if self._stopped.is_set():
                return
            self._ended = ended
            self._stop()
        self._over.set()
        if self._on_end is not None:
            self._on_end(ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _stop(self) -> None:
        self._stopped.set()
        atexit.unregister(self.stop)
        if self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._reaper.stdin.close()
        deadline = time.monotonic() + _REAPER_S
        while self._reaper.poll() is None and time.monotonic() < deadline:
            for child in self._children:  # reaping is the parent's, or they stay as zombies
                child.popen.poll()
            time.sleep(_POLL_S / 5)
        for child in self._children:
            if child.popen.poll() is None:  # the reaper was killed
                child.popen.kill()
                child.popen.wait()

    def _tell(self, line: str) -> None:
        if self._reaper.stdin is None or self._reaper.stdin.closed:
            return
        # A reaper that somebody killed leaves the other two lines of defence.
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()

    def _fork_forever(self) -> None:
        while True:
            self._requests.get()()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_S):
            ended = self._reap()
            if ended is not None:
                self.end_run(ended)
                return

    def _reap(self) -> Ended | None:
        with self._lock:
            for child in [each for each in self._children if each.pid in self._watched]:
                code = None if self._stopped.is_set() else child.popen.poll()
                if code is None:
                    continue
                self._children.remove(child)
                self._tell(f"-{child.pid}")
                if code != 0 or child.essential:
                    return Ended(child, code, child.tail())
        return None


def _scratch_folder() -> Path:
    """Return a new folder for logs and sockets of the children.

    Raises
    ------
    VoltickError
        There is no place for one.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="voltick-"))
    except OSError as error:
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="voltick-", dir=SHARED_MEMORY))
        message = (
            f"an all-in-one run needs a folder for its children's logs, and has none: {error};"
            " set TMPDIR to a folder that can be written"
        )
        raise VoltickError(message) from error
