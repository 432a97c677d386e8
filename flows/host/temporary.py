"""Where files may lie that end with the process."""

import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a read-only container has it still)


def find_place_for_temporary_files() -> None:
    """Have ``tempfile`` use shared memory where no folder for temporary files can be written to.

    Libraries ask ``tempfile`` for a folder, and some cannot be imported without one.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = str(SHARED_MEMORY)
