"""Read files that may be anything, and write them so that a kill leaves the old or the new."""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import ModelStoreError
from flows.host.files import open_at_once, sync_folder
from flows.host.locks import lock_file

# How often a waiting process looks whether the lock is free.
_LOCK_RETRY_S = 0.005


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Parameters
    ----------
    limit
        Most bytes.

    Raises
    ------
    OSError
        It is not there, is no regular file (a pipe would never end), is larger, or is unreadable.
    """
    descriptor = open_at_once(path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1)
        if len(content) > limit:
            raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))
        return content


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and make its bytes durable; its name is the caller's to sync."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path``: a reader sees all of the old or all of the new.

    The caller holds the lock, so one fixed temporary name is enough, and what a killed writer
    left there is overwritten.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    write_file(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append one line durably; a line that a killed writer left torn is closed first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        os.lseek(descriptor, max(0, size - 1), os.SEEK_SET)
        torn = os.read(descriptor, 1) not in (b"", b"\n")
        left = (b"\n" if torn else b"") + line + b"\n"
        while left:  # a disk that is nearly full takes a part, and refuses the rest
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads; it dies with its holder.

    Raises
    ------
    ModelStoreError
        Another process holds it for longer than ``timeout_s``.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                lock_file(descriptor, wait=False)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    message = (
                        f"model store: another process has held the lock {path} for more than"
                        f" {timeout_s:g} s; find it with `fuser {path}`"
                    )
                    raise ModelStoreError(message) from None
                time.sleep(_LOCK_RETRY_S)
        yield
    finally:
        os.close(descriptor)
