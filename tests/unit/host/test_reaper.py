"""How the processes of a run are ended: asked first, but for what keeps everything in memory."""

import signal
import subprocess
import sys
import threading

from flows.host import reaper
from flows.local.child import Rank

SLEEP = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]


def started() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"up\n"
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays as a zombie
    return process


def test_servers_are_killed_at_once_and_applications_are_asked_before() -> None:
    application, server = started(), started()
    reaper.end({server.pid: Rank.SERVER, application.pid: Rank.APPLICATION}, grace_s=60.0)
    ended = [process.wait(20) for process in (application, server)]
    assert ended == [-signal.SIGTERM, -signal.SIGKILL]
