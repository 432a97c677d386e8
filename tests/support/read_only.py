"""Run a command where no file can be written, whoever runs it: root obeys no file's mode.

The command gets mounts of its own, all of which may only be read (Linux, and where the tests may
mount at all). Output goes to files that were opened before.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.processes import Process

NOWHERE = "/nonexistent"
"""A home that does not exist and cannot be made."""

_PROBE = ".voltick-test-probe"
# The kernel's own file systems stay as they are; $KEPT is where shared memory is left alone.
_SCRIPT = """
mount --make-rprivate / || exit 97
while read -r _ _ _ _ place _; do
  case "$place" in /proc|/proc/*|/sys|/sys/*|/dev|/dev/pts|/dev/mqueue|"$KEPT") continue;; esac
  mount -o remount,bind,ro "$place" 2>/dev/null
done </proc/self/mountinfo
touch "$PROBE" 2>/dev/null && { rm "$PROBE"; exit 97; }
exec "$@"
"""


def read_only(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    name: str = "process",
    *,
    shared_memory: bool = False,
) -> Process:
    """Return, not started yet, a Python process that can write to no file, nor find a home.

    Parameters
    ----------
    arguments
        After the interpreter.
    shared_memory
        Leave ``/dev/shm`` as it is.
    """
    return Process(
        ["--mount", "sh", "-c", _SCRIPT, "sh", sys.executable, *arguments],
        folder,
        {**_place(folder, shared_memory=shared_memory), **settings},
        name,
        python=Path(shutil.which("unshare") or "unshare"),
    )


def skip_where_mounts_are_refused(folder: Path) -> None:
    """Skip the test where there are no mounts of one's own, with the reason."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare, which gives a command mounts of its own")
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", _SCRIPT, "sh", "true"],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **_place(folder, shared_memory=False)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[:200] or "files could still be written"
        pytest.skip(f"mounts cannot be made read-only here: {said}")


def _place(folder: Path, *, shared_memory: bool) -> dict[str, str]:
    return {
        "HOME": NOWHERE,
        "TMPDIR": str(folder),
        "PROBE": str(folder / _PROBE),
        "KEPT": "/dev/shm" if shared_memory else "",  # noqa: S108 - not written to here
    }
