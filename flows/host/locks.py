"""Locks on files, which end with the process that holds them; POSIX systems alone have them."""

import importlib.util
from typing import IO


def has_file_locks() -> bool:
    """Return whether this system has such locks; Windows has none."""
    return importlib.util.find_spec("fcntl") is not None


def lock_file(file: int | IO[bytes], *, wait: bool = True, shared: bool = False) -> None:
    """Lock a file for this process alone; closing it gives the lock back.

    Parameters
    ----------
    wait
        Whether to wait while others hold it.
    shared
        Lock it together with others that share it, against those that do not.

    Raises
    ------
    BlockingIOError
        Another one holds it, and this one does not wait.
    OSError
        The file system has no locks.
    """
    import fcntl  # not above: Windows has no such module

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
