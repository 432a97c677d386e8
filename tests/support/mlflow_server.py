"""A real MLflow tracking server for tests: runs in SQLite, artifacts served by it, on loopback."""

import contextlib
import os
import signal
import subprocess
import sys
from functools import partial

import httpx

from tests.support.embedded import Server
from tests.support.polling import die_with_parent, until
from tests.support.processes import clean_environment


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
                env=clean_environment(
                    {
                        "MLFLOW_DISABLE_TELEMETRY": "true",
                        "DO_NOT_TRACK": "true",
                        # It would be a third process, which is not needed here.
                        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    }
                ),
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
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
