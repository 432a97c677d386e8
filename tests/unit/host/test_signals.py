"""A signal never waits for what the program it interrupts holds."""

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
