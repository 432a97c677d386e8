"""A signal waits for nothing that its program holds; a hang-up that nohup ignores stays ignored."""

import textwrap
from pathlib import Path

from tests.support.polling import until
from tests.support.processes import Process

WAITING = """
import sys
import threading
from flows.host.signals import on_stop_signals

changed = threading.Event()
seen = []

def act(number):
    seen.append(number.name)
    changed.set()

on_stop_signals(act)
print("ready", flush=True)
while not {{"SIGINT", "SIGHUP"}} <= set(seen):
    changed.wait(0)
    changed.clear()
print(*sorted(set(seen)), flush=True)
"""


def test_signals_arrive_while_the_main_thread_uses_the_lock_that_acting_takes(tmp_path: Path):
    program = tmp_path / "waiting.py"
    program.write_text(textwrap.dedent(WAITING.format()))
    with Process([str(program)], tmp_path, {}) as process:
        until(lambda: "ready" in process.stdout, "the program to wait", 60.0)
        for _ in range(500):
            process.terminate()
        process.interrupt()
        process.hang_up()
        assert process.wait_exit(60) == 0
    assert process.stdout.splitlines()[-1] == "SIGHUP SIGINT SIGTERM"


IGNORING = """
import os
import signal
import sys

for name in ("SIGHUP", "SIGINT"):
    signal.signal(signal.Signals[name], signal.SIG_IGN)  # as nohup and a shell's & do
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

UNTIL_INTERRUPTED = """
import threading
from flows.host.signals import stop_on_first_signal

stop = threading.Event()
stop_on_first_signal(stop)
print("ready", flush=True)
stop.wait()
"""


def test_what_nohup_started_outlives_its_terminal_and_can_be_interrupted(tmp_path: Path):
    ignoring, program = tmp_path / "nohup.py", tmp_path / "program.py"
    ignoring.write_text(IGNORING)
    program.write_text(UNTIL_INTERRUPTED)
    with Process([str(ignoring), str(program)], tmp_path, {}) as process:
        until(lambda: "ready" in process.stdout, "the program to wait", 60.0)
        process.hang_up()
        process.interrupt()
        assert process.wait_exit(60) == 0
    assert "signal=SIGINT" in process.stdout + process.stderr
