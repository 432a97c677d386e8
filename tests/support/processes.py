"""The product's own commands as child processes: started, watched, stopped and killed.

They obey no setting of whoever runs the tests, neither of the environment nor of a ``.env`` in the
folder where tests are started: it may name servers that are no test's to write to.
"""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.polling import die_with_parent, until

ROOT = Path(__file__).resolve().parents[2]
_OBEYED = re.compile(r"VOLTICK_(?!TEST_)|KAFKA_|REDIS_|MODEL_|BYTEWAX_|_?MLFLOW_|DO_NOT_TRACK$")


def is_obeyed(name: str) -> bool:
    """Tell whether the product, its engine or MLflow obeys this environment variable."""
    return _OBEYED.match(name) is not None


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without anything that is obeyed, plus ``settings``."""
    kept = {name: value for name, value in os.environ.items() if not is_obeyed(name)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}


def _begin() -> None:
    """Prepare a child: what ``nohup`` or a shell's ``&`` made the tests ignore ends it as usual."""
    die_with_parent()
    # Where the tests run in the background, a shell may have had these ignored.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Process:
    """A child whose output goes to files; a context manager that kills what is left of it.

    Parameters
    ----------
    arguments
        After the Python interpreter, e.g. ``["-m", "bytewax.run", "flows.pipeline"]``.
    folder
        Existing folder where it runs, and for its output.
    settings
        Environment variables of the product; the caller's own are not inherited.
    name
        Base of the output files.
    python
        The interpreter; None for the one of the tests.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        settings: Mapping[str, str],
        name: str = "process",
        python: Path | None = None,
    ) -> None:
        self.arguments = list(arguments)
        self.python = sys.executable if python is None else str(python)
        self.folder = folder
        self.stdout_path = folder / f"{name}.stdout"
        self.stderr_path = folder / f"{name}.stderr"
        self.settings = dict(settings)
        self.started_at = 0.0
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it in its folder."""
        with self.stdout_path.open("ab") as out, self.stderr_path.open("ab") as err:
            self.started_at = time.monotonic()
            self._popen = subprocess.Popen(
                [self.python, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env=clean_environment(self.settings),
                preexec_fn=_begin,
            )
        return self

    @property
    def popen(self) -> subprocess.Popen[bytes]:
        """The running or ended child."""
        assert self._popen is not None, "not started"
        return self._popen

    @property
    def pid(self) -> int:
        """Process id."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code; negative where a signal ended it; none while it runs."""
        return self.popen.poll()

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far."""
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    @property
    def stdout(self) -> str:
        """What it wrote to stdout so far."""
        return self.stdout_path.read_text(encoding="utf-8", errors="replace")

    def wait_for_log(self, pattern: str, deadline_s: float = 30.0) -> str:
        """Wait until stderr holds this regular expression and return what matched."""

        def found() -> str:
            match = re.search(pattern, self.stderr)
            if match is None and not self.running:
                message = f"ended with {self.exit_code} before saying {pattern!r}:\n{self.tail()}"
                raise AssertionError(message)
            return match.group(0) if match else ""

        return until(found, f"log line {pattern!r}", deadline_s)

    def wait_exit(self, deadline_s: float = 30.0) -> int:
        """Wait until it has ended by itself and return its exit code."""
        try:
            return self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            message = f"still running after {deadline_s:g} s; it said:\n{self.tail()}"
            raise AssertionError(message) from None

    def kill(self) -> None:
        """SIGKILL, also where it is stopped, and wait until it is gone."""
        if self.running:
            self.popen.kill()
            self.popen.wait(10)

    def interrupt(self) -> None:
        """SIGINT."""
        self.popen.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM."""
        self.popen.terminate()

    def hang_up(self) -> None:
        """SIGHUP."""
        self.popen.send_signal(signal.SIGHUP)

    def pause(self) -> None:
        """SIGSTOP."""
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.popen.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 25) -> str:
        """Return the last lines of stderr."""
        return "\n".join(self.stderr.splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self if self._popen is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def flow(
    module: str,
    folder: Path,
    settings: Mapping[str, str],
    name: str = "flow",
    options: Sequence[str] = (),
) -> Process:
    """Return, not started yet, ``python -m bytewax.run MODULE``."""
    return Process(["-m", "bytewax.run", module, *options], folder, settings, name)


def run(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    deadline_s: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command of Python's to its end, and fail where it does not end in time."""
    with Process(arguments, folder, settings, f"run-{uuid.uuid4().hex}") as process:
        code = process.wait_exit(deadline_s)
        return subprocess.CompletedProcess(process.arguments, code, process.stdout, process.stderr)
