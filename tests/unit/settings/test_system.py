"""Where the system cannot keep two writers apart, every command says what to do instead."""

from pathlib import Path

import pytest

from tests.support.processes import run

# What Windows' Python lacks, as far as commands touch it before they have read their settings.
LIKE_WINDOWS = """
import importlib.util, os, runpy, sys

find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name == "fcntl" else find(name, package)
)
for name in ("killpg", "getuid", "geteuid", "fork", "setsid", "nice"):
    delattr(os, name)
sys.modules["fcntl"] = None
module, *rest = sys.argv[1:]
sys.argv = [module, *rest]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
COMMANDS = {
    "all-in-one": ["flows.local"],
    "pipeline": ["bytewax.run", "flows.pipeline"],
    "api": ["serving"],
    "training": ["training.retrain", "--from", "simulate:2h"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_system_without_file_locks_is_refused_in_one_line(
    words: list[str], tmp_path: Path
) -> None:
    done = run(["-c", LIKE_WINDOWS, *words], tmp_path, {}, deadline_s=170.0)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert "WSL" in line
    assert "docker\\voltick.ps1 up" in line
