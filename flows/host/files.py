"""Files as the system opens them and keeps them."""

import os
from pathlib import Path


def open_at_once(path: Path) -> int:
    """Open a file for reading, without waiting for somebody to write to a pipe of that name.

    Windows has no such pipes among its files.

    Returns
    -------
    Its descriptor, for the caller to close.

    Raises
    ------
    OSError
        It cannot be opened.
    """
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; Windows, which cannot open folders, does so by itself.

    Raises
    ------
    OSError
        The folder is not there, or its disk fails.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
