"""The dependency audit says "clean" only where everything was looked up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

LOCK = "# comment\nalpha==1.0\nBeta_x==2.0\n"
CLEAN = [
    {"name": "alpha", "version": "1.0", "vulns": []},
    {"name": "beta-x", "version": "2.0", "vulns": []},
]
SKIPPED = [
    {"name": name, "skip_reason": f"{name} could not be audited"} for name in ("alpha", "beta-x")
]
BAD = {
    "name": "alpha",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}],
}


def audit(folder: Path, stdout: str, exit_code: int = 0, stderr: str = "") -> tuple[int, str]:
    """Run the script with a pip-audit that answers this; return exit code and last line."""
    lock = folder / "lock.txt"
    lock.write_text(LOCK, "utf-8")
    fake = folder / "pip-audit"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.write({stdout!r})\n"
        f"sys.stderr.write({stderr!r})\nsys.exit({exit_code})\n",
        "utf-8",
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), str(lock)],
        env={"PIP_AUDIT": str(fake), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("entries", "exit_code", "said"),
    [
        (CLEAN, 0, "audit: clean: 2 packages"),
        (SKIPPED, 3, "audit: NOT REACHABLE: nothing was looked up (alpha could not be audited)"),
        ([CLEAN[0], SKIPPED[1]], 3, "audit: INCOMPLETE; 1 of 2 were not looked up: beta-x"),
        ([CLEAN[0]], 3, "beta-x"),
        ([], 3, "audit: NOT REACHABLE"),
        ([BAD, CLEAN[1]], 1, "audit: VULNERABLE: 1 packages\n"),
        ([BAD, SKIPPED[1]], 1, "audit: VULNERABLE: 1 packages; 1 of 2 were not looked up"),
    ],
)
def test_what_pip_audit_found(entries, exit_code: int, said: str, tmp_path: Path) -> None:
    code, out = audit(tmp_path, json.dumps({"dependencies": entries, "fixes": []}))
    assert code == exit_code
    assert said in out
    if exit_code == 1:
        assert "alpha 1.0: PYSEC-1, fixed in 1.1" in out
    assert ("clean" in out) == (exit_code == 0)


@pytest.mark.parametrize("stdout", ["", "Traceback", "[]", "{"])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_failed_pip_audit_is_not_green(stdout: str, exit_code: int, tmp_path: Path) -> None:
    code, out = audit(tmp_path, stdout, exit_code, "ERROR: a\nERROR: connection refused\n")
    assert code == 3
    assert out.startswith("audit: NOT REACHABLE: ")


def test_a_missing_pip_audit_is_not_green(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK, "utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), str(tmp_path / "lock.txt")],
        env={"PIP_AUDIT": str(tmp_path / "nothing"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "NOT REACHABLE" in done.stdout
