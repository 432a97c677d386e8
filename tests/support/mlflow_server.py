"""A real MLflow tracking server for tests: runs in SQLite, artifacts served by it, on loopback."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

import httpx

from tests.support.embedded import Server
from tests.support.polling import until

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_MLFLOW = ("MLFLOW_", "_MLFLOW_", "DO_NOT_TRACK")


def without_mlflow(**settings: str) -> dict[str, str]:
    """Return this process's environment without any setting of MLflow's, plus ``settings``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_MLFLOW)}
    return {**kept, **settings}


class MlflowServer(Server):
    """``mlflow server`` with one worker.

    It runs that worker in a process of its own and passes SIGTERM on to it, but cannot pass on
    SIGKILL. So it is sent SIGTERM when the test process dies, and is killed as a process group.
    """

    @property
    def url(self) -> str:
        """``http://`` address."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return what to run."""
        return [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'runs.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
        ]

    def start(self) -> None:
        """Start it and wait until it answers: some seconds, many on a busy machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=without_mlflow(
                    MLFLOW_DISABLE_TELEMETRY="true",
                    DO_NOT_TRACK="true",
                    MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # a third process, not needed here
                ),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        try:
            until(self._answers, "the MLflow server to answer", deadline_s=150.0, every_s=0.1)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        if not self._up():
            return False
        try:
            return httpx.get(f"{self.url}/health", timeout=5.0).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL to it and its worker."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None  # its number may be another's from now on

    stop = kill


def _end_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
