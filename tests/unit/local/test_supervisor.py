"""Children end with their supervisor, however it ends."""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.errors import VoltickError
from flows.local.child import Ended, Rank
from flows.local.supervisor import Supervisor
from tests.support.polling import until
from tests.support.processes import Process

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
]
FAMILY = [
    sys.executable,
    "-S",
    "-c",
    "import subprocess, sys, time;"
    "c = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']);"
    "open(sys.argv[1] + '.new', 'w').write(str(c.pid));"
    "import os; os.rename(sys.argv[1] + '.new', sys.argv[1]);"
    "time.sleep(600)",
]
PARENT = """
import json, sys, threading
from flows.local.supervisor import Supervisor

supervisor = Supervisor()
commands = json.loads(sys.argv[1])
children = [supervisor._reaper.pid]

def spawn():
    for number, command in enumerate(commands):
        children.append(supervisor.spawn(str(number), command).pid)

# From a thread that ends at once: the kernel's death signal must not be tied to it.
thread = threading.Thread(target=spawn)
thread.start()
thread.join()
print(json.dumps({"pids": children, "folder": str(supervisor.folder)}))
sys.stdout.flush()
threading.Event().wait()
"""


def gone(pid: int) -> bool:
    """A process that is over; a zombie waits only for its parent to look."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def parent(folder: Path, *commands: list[str]) -> Iterator[tuple[Process, list[int], Path]]:
    with Process(["-c", PARENT, json.dumps(commands)], folder, {}) as process:
        until(lambda: process.stdout.endswith("\n") or not process.running, "its children")
        assert process.running, process.tail()
        told = json.loads(process.stdout)
        yield process, told["pids"], Path(told["folder"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_parent_dies(number: signal.Signals, tmp_path: Path) -> None:
    with parent(tmp_path, SLEEP, DEAF) as (process, pids, folder):
        assert not any(gone(pid) for pid in pids)
        process.popen.send_signal(number)
        process.wait_exit(20)
        until(lambda: all(gone(pid) for pid in pids), f"{pids} to end", 20)
        assert not folder.exists()


def test_grandchildren_end_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with parent(tmp_path, [*FAMILY, str(note)]) as (process, pids, _):
        grandchild = int(until(lambda: note.exists() and note.read_text(), "a grandchild"))
        process.kill()
        until(lambda: all(gone(pid) for pid in [*pids, grandchild]), "all to end", 20)


def test_a_killed_reaper_leaves_the_orderly_stop(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        child = supervisor.spawn("sleep", SLEEP)
        os.kill(supervisor._reaper.pid, signal.SIGKILL)
        until(lambda: gone(supervisor._reaper.pid), "the reaper to end")
    assert gone(child.pid)


def test_stop_ends_all_even_the_deaf_and_removes_the_scratch_folder() -> None:
    supervisor = Supervisor()
    pids = [supervisor.spawn(str(n), command).pid for n, command in enumerate([SLEEP, DEAF])]
    pids.append(supervisor._reaper.pid)
    supervisor.stop()
    supervisor.stop()
    assert all(gone(pid) for pid in pids)
    assert not supervisor.folder.exists()
    with pytest.raises(VoltickError, match="being stopped"):
        supervisor.spawn("late", SLEEP)


def test_an_essential_child_that_ends_ends_the_run(tmp_path: Path) -> None:
    seen: list[Ended] = []
    supervisor = Supervisor(seen.append)
    other = supervisor.spawn("other", SLEEP, rank=Rank.SERVER)
    script = "print('the cause'); raise SystemExit(7)"
    supervisor.spawn("short", [sys.executable, "-c", script], log=tmp_path / "log")
    ended = supervisor.wait(20)
    assert ended is not None
    assert (ended.child.name, ended.exit_code, ended.said) == ("short", 7, "the cause")
    until(lambda: seen == [ended], "the callback")
    assert gone(other.pid)


# Notes at its own end whether another process still runs.
LAST_LOOK = """
import os, signal, sys, time
def look(*_):
    os.kill(int(sys.argv[1]), 0)
    open(sys.argv[2] + ".new", "w").write("it runs")
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGTERM, look)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_server_that_ends_the_run_ends_behind_what_uses_it(tmp_path: Path) -> None:
    seen: list[Ended] = []
    supervisor = Supervisor(seen.append)
    server = supervisor.spawn("server", SLEEP, rank=Rank.SERVER)
    note, log = tmp_path / "note", tmp_path / "log"
    script = [sys.executable, "-S", "-c", LAST_LOOK, str(server.pid), str(note)]
    user = supervisor.spawn("user", script, log=log)
    until(lambda: "ready" in user.tail(), "the one that uses it")
    full = Ended(server, 1, "", explained=True)
    supervisor.end_run(full)
    supervisor.end_run(Ended(user, 0, ""))
    assert seen == [full] == [supervisor.wait(0)]
    assert note.read_text() == "it runs"
    assert gone(server.pid)


def test_a_feed_may_end_in_peace_but_not_in_error() -> None:
    with Supervisor() as supervisor:
        done = supervisor.spawn("replay", [sys.executable, "-c", "pass"], essential=False)
        until(lambda: done.popen.returncode == 0, "the replay to end")
        assert supervisor.wait(0.2) is None
        supervisor.spawn("broken", [sys.executable, "-c", "exit(2)"], essential=False)
        ended = supervisor.wait(20)
        assert ended is not None
        assert ended.exit_code == 2


def test_a_program_that_is_not_there_is_one_error() -> None:
    with Supervisor() as supervisor:
        supervisor.spawn("ghost", ["/nowhere/ghost"])
        ended = supervisor.wait(20)
        assert ended is not None
        assert ended.exit_code != 0


@pytest.mark.parametrize("command", [[sys.executable, "nul\0l"], ["a", 1]], ids=["nul", "no-text"])
def test_whatever_keeps_a_program_from_starting_is_one_error_and_stops_nothing(command) -> None:
    with Supervisor() as supervisor:
        with pytest.raises(VoltickError, match="odd cannot be started"):
            supervisor.spawn("odd", command)
        child = supervisor.spawn("sleep", SLEEP)
        assert not gone(child.pid)
    assert gone(child.pid)


def test_without_a_place_for_temporary_files_shared_memory_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make = tempfile.mkdtemp

    def read_only(prefix: str, dir: str | None = None) -> str:
        if dir is None:
            raise FileNotFoundError(2, "No usable temporary directory found")
        return make(prefix=prefix, dir=tmp_path)

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with Supervisor() as supervisor:
        assert supervisor.folder.parent == tmp_path


def test_without_any_place_for_files_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(prefix: str, dir: str | None = None) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(VoltickError, match="set TMPDIR"):
        Supervisor()
