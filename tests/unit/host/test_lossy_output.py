"""What cannot be written to the log is lost; the program goes on, and ends as it would have."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from flows.host.lossy_output import LossyOutput

FULL = Path("/dev/full")


class Disk(io.StringIO):
    """A stream that takes nothing while it is full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def _on_a_full_disk(code: str) -> "subprocess.CompletedProcess[str]":
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    with FULL.open("w") as full:
        return subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            timeout=60,
        )


def test_lines_that_are_lost_are_counted_in_the_next_one() -> None:
    disk = Disk()
    output = LossyOutput(disk)
    output.write("one\n")
    disk.full = True
    output.write("two\n")
    output.write("three\n")
    disk.full = False
    output.write("four\n")
    output.write("five\n")
    lost = "2 log lines could not be written and are lost\n"
    assert disk.getvalue() == f"one\n{lost}four\nfive\n"


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_program_whose_log_takes_nothing_goes_on_and_ends_well(log_format: str) -> None:
    ended = _on_a_full_disk(
        "import logging, structlog\n"
        "from flows import logs\n"
        f"logs.configure({log_format!r})\n"
        "for _ in range(1000):\n"
        "    structlog.get_logger().warning('Redis is away', cause='x' * 100)\n"
        "    logging.getLogger('uvicorn').warning('stopping')\n"
        "print('went on')\n"
    )
    assert (ended.stdout, ended.returncode) == ("went on\n", 0)


def test_last_words_that_nobody_takes_change_no_exit_code() -> None:
    ended = _on_a_full_disk(
        "from training.console import command, stay_challenger\n"
        "import typer\n"
        "app = typer.Typer()\n"
        "app.command()(lambda: stay_challenger(['it does not beat the baseline']))\n"
        "command(app)\n"
    )
    assert ended.returncode == 5


@pytest.mark.parametrize("module", ["training.console", "flows.host.command"])
def test_an_error_that_nobody_takes_ends_with_its_own_exit_code(module: str) -> None:
    name = "command" if module == "training.console" else "run_command"
    ended = _on_a_full_disk(
        f"from {module} import {name}\n"
        "from flows.errors import LeakError\n"
        "def app():\n"
        "    raise LeakError('skill on shuffled labels')\n"
        f"{name}(app)\n"
    )
    assert ended.returncode == 4


def test_a_process_ends_by_its_error_though_its_log_takes_nothing() -> None:
    ended = _on_a_full_disk(
        "import threading, time\n"
        "from flows.errors import VoltickError\n"
        "from flows.runtime.process import end_process\n"
        "threading.Thread(target=end_process, args=[VoltickError('fenced')]).start()\n"
        "time.sleep(30)\n"
        "print('still there')\n"
    )
    assert (ended.stdout, ended.returncode) == ("", 2)
