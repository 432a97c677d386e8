"""Folders for temporary files: where one can be had, and one that nobody else can write to."""

import os
import stat
import tempfile
from contextlib import suppress
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


def own_folder(parent: Path, name: str) -> Path | None:
    """Return a folder that nobody else can write to or replace, made if it is not there.

    Code that is loaded from it runs as this user. So it is taken only if it is a real folder, this
    user's and closed to others, in one whose owner, or whose sticky bit, keeps others from
    renaming it.

    Parameters
    ----------
    name
        The user's number is added to it.

    Returns
    -------
    None where there is no such folder, or no user ids to tell by, as on Windows.
    """
    if not hasattr(os, "geteuid"):
        return None
    user = os.geteuid()
    folder = parent / f"{name}-{user}"
    try:
        around = parent.stat()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return None
    shared = around.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not around.st_mode & stat.S_ISVTX
    safe = (
        around.st_uid in {0, user}
        and not shared
        and stat.S_ISDIR(found.st_mode)
        and found.st_uid == user
        and not found.st_mode & 0o077
        and os.access(folder, os.W_OK)
    )
    return folder if safe else None
