"""The peak is the system's own figure, and includes what was given back."""

import os
import subprocess
import sys

import pytest

from tests.bench.memory import peak_mb

CHILD = "held = b'x' * 100_000_000; del held; print(flush=True); input()"


def test_a_peak_stays_when_the_memory_is_given_back() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        assert 100 < peak_mb(child.pid) < 200
        child.stdin.close()


def test_the_peak_of_a_process_that_has_ended_is_not_told() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is still to be reaped
    with pytest.raises(ValueError, match="has ended"):
        peak_mb(child.pid)
    child.wait()
