"""Files that a command makes, each of which is whole or not there, however the command ends."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LONGEST_KEPT = 100
"""So much of a name goes into that of its unfinished file, which has to fit into 255 bytes."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write, which takes the name ``path`` when the block ends without an error.

    See :func:`whole_files`.
    """
    with whole_files() as unfinished:
        yield unfinished(path)


@contextmanager
def whole_files() -> Iterator[Callable[[Path], Path]]:
    """Give a function from names to files to write, which take their names all at the end.

    They do so when the block ends without an error, once all their bytes are on the disk; otherwise
    nothing is left of them, and what had the names before stays. Two processes that write the same
    name do not touch each other's file; the later one has the name. What is no file of a disk (a
    device, a pipe) is written as it is, never replaced; a link goes on leading to its file.

    Raises
    ------
    OSError
        A file cannot be written or named, or a name is a folder's.
    """
    begun: dict[Path, Path] = {}

    def unfinished(path: Path) -> Path:
        target = Path(os.path.realpath(path))
        with suppress(FileNotFoundError):
            mode = target.stat().st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            if not stat.S_ISREG(mode):
                return target
        kept = target.name.encode()[:_LONGEST_KEPT].decode(errors="ignore")
        begun[target] = target.with_name(f".{kept}.{os.getpid()}-{len(begun)}.part")
        return begun[target]

    try:
        yield unfinished
        for partial in begun.values():
            _make_durable(partial)
        for target, partial in begun.items():
            partial.replace(target)
    finally:
        for partial in begun.values():
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _make_durable(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
