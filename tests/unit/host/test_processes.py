"""Processes that are started: apart, less urgent, and refused where they could be left over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import VoltickError
from flows.host import processes
from flows.host.files import open_at_once, sync_folder
from flows.host.processes import lower_priority, start_in_own_session, start_reaper, start_tied
from flows.host.temporary import own_folder
from flows.local.supervisor import Supervisor

SAY_SESSION = [sys.executable, "-S", "-c", "import os; print(os.getsid(0) == os.getpid())"]
WAIT = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def like_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what Windows' Python lacks."""
    for name in ("killpg", "setpriority", "geteuid", "O_NONBLOCK"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(processes.sys, "platform", "win32")


def test_a_program_leads_a_session_of_its_own() -> None:
    started = start_in_own_session(SAY_SESSION, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    said, _ = started.communicate(timeout=60)
    assert said == b"True\n"


def test_another_process_makes_way() -> None:
    started = start_in_own_session(WAIT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with started:
        before = os.getpriority(os.PRIO_PROCESS, started.pid)
        lower_priority(started.pid, 19)
        assert os.getpriority(os.PRIO_PROCESS, started.pid) == 19 >= before
        lower_priority(started.pid, 0)  # not everybody may: that is no error
        started.kill()


def test_a_process_that_is_gone_is_passed_over() -> None:
    started = start_in_own_session(SAY_SESSION, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert started.wait(60) == 0
    lower_priority(started.pid, 19)


@pytest.mark.usefixtures("like_windows")
def test_a_system_without_process_groups_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="win32 has no process groups"):
        start_reaper()
    with pytest.raises(OSError, match="win32 has no process groups"):
        start_tied(SAY_SESSION, None, tmp_path / "log")
    with pytest.raises(VoltickError, match=r"all-in-one run .* win32 .* WSL or Docker"):
        Supervisor()


@pytest.mark.usefixtures("like_windows")
def test_elsewhere_less_is_done_and_nothing_breaks(tmp_path: Path) -> None:
    lower_priority(0, 1)
    assert own_folder(tmp_path, "folder") is None
    file = tmp_path / "file"
    file.write_bytes(b"x")
    descriptor = open_at_once(file)
    assert os.read(descriptor, 2) == b"x"
    os.close(descriptor)


def test_a_folder_that_cannot_be_opened_needs_no_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="missing"):
        sync_folder(tmp_path / "missing")
    monkeypatch.setattr("flows.host.files.os.name", "nt")
    sync_folder(tmp_path / "missing")
