"""Every process collects the same tests, whenever and wherever it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment


def collected(folder: Path, hash_seed: int) -> list[str]:
    """Return the names of all tests, as a process of its own started in a folder finds them."""
    command = [
        *(sys.executable, "-m", "pytest", str(ROOT / "tests"), "-n", "0", "--collect-only"),
        *("--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"),
    ]
    environment = {**clean_environment({}), "PYTHONHASHSEED": str(hash_seed)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == os.EX_OK, done.stdout[-2000:] + done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_collect_the_same_tests(tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    # One after the other: the second starts seconds later.
    first = collected(ROOT, 1)
    second = collected(elsewhere, 7)
    assert len(first) > 1000
    assert second == first
