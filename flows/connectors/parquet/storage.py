"""Where the archive lies: put, read, list and delete files, and change a state without a race.

Every put is whole or not there: what a reader finds under a name is all of it. A local folder locks
a partition for its one writer, or for the members of one group; on any storage,
:meth:`Storage.swap` changes a state only if nobody else has.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from flows.errors import ArchiveError, FencedError
from flows.host.files import sync_folder
from flows.host.locks import lock_file

_WRITTEN, _READ, _LOCKED = "written", "read", "locked"


class Held(Protocol):
    """What a writer holds while it owns a partition."""

    def close(self) -> None:
        """Give it back."""


class Storage(Protocol):
    """Files by their path below the archive's folder, with ``/`` between the parts.

    Every method raises :class:`ArchiveError`, naming the archive, where the storage refuses.
    """

    @property
    def name(self) -> str:
        """The folder or the URL, for messages."""

    def url(self, path: str) -> str:
        """Return how other programs name a file: a local path, or a URL."""

    def hold(self, path: str, what: str, *, shared: bool = False) -> Held:
        """Own what a path stands for until it is given back, or the process ends.

        Parameters
        ----------
        what
            For the message.
        shared
            Own it together with others that share it.
        """

    def take_turn(self, path: str) -> Held:
        """Own what a path stands for until it is given back; wait while another process does."""

    def put(self, path: str, content: bytes | memoryview) -> None:
        """Write a file, durable and whole."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where there is none."""

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return a file's content and what :meth:`swap` tells it by; None where there is none."""

    def swap(self, path: str, content: bytes, version: str | None) -> str:
        """Replace a file whose version is known (None: it must not exist); return the new version.

        Raises
        ------
        FencedError
            Somebody else has changed it.
        """

    def files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield paths that begin with a prefix, and their sizes in bytes."""

    def versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield paths that begin with a prefix, each with what changes when its content does."""

    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""


class LocalStorage:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._durable: set[Path] = set()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def url(self, path: str) -> str:
        """Return the path of a file on this machine."""
        return str(self._folder / path)

    def hold(self, path: str, what: str, *, shared: bool = False) -> Held:
        """Lock a file; the lock goes with the process, however it ends."""
        lock = self._open_lock(path)
        try:
            lock_file(lock, wait=False, shared=shared)
        except OSError as error:
            lock.close()
            if not isinstance(error, BlockingIOError):
                raise self._refused(_LOCKED, error) from None
            message = (
                f"another process archives {what} into {self.name}; end it first, give each its own"
                " VOLTICK_ARCHIVE, or let all share it by VOLTICK_ASSIGNMENT=group"
            )
            raise ArchiveError(message) from None
        return lock

    def take_turn(self, path: str) -> Held:
        """Lock a file, once nobody else does; the lock goes with the process, however it ends."""
        lock = self._open_lock(path)
        try:
            lock_file(lock)
        except OSError as error:
            lock.close()
            raise self._refused(_LOCKED, error) from None
        return lock

    def put(self, path: str, content: bytes | memoryview) -> None:
        """Write a file beside its name, then give it the name: a kill leaves the old or the new."""
        target = self._folder / path
        try:
            self._make_folders(target.parent)
            with _temporary(target).open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            _temporary(target).replace(target)
            sync_folder(target.parent)
        except OSError as error:
            with suppress(OSError):
                _temporary(target).unlink(missing_ok=True)
            raise self._refused(_WRITTEN, error) from None

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where there is none."""
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused(_READ, error) from None

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return a file's content, which is its own version."""
        content = self.read(path)
        return None if content is None else (content, content.hex())

    def swap(self, path: str, content: bytes, version: str | None) -> str:
        """Replace a file; a lock keeps others away, the comparison finds a folder without one."""
        known = self.read_version(path)
        if (None if known is None else known[1]) != version:
            message = f"{self.name}: another process has taken over {path}"
            raise FencedError(message)
        self.put(path, content)
        return content.hex()

    def files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield files by path, without hidden ones, in order of their names."""
        folder, _, beginning = prefix.rpartition("/")
        top = self._folder / folder
        try:
            for path in sorted(top.rglob("*") if top.is_dir() else ()):
                below = path.relative_to(top)
                if not below.as_posix().startswith(beginning) or path.name.startswith("."):
                    continue
                with suppress(FileNotFoundError):
                    if path.is_file():
                        yield path.relative_to(self._folder).as_posix(), path.stat().st_size
        except OSError as error:
            raise self._refused(_READ, error) from None

    def versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield files by path with when and as what they were last replaced."""
        for path, size in self.files(prefix):
            with suppress(FileNotFoundError):
                found = (self._folder / path).stat()
                yield path, f"{found.st_ino}-{found.st_mtime_ns}-{size}"

    def delete(self, path: str) -> None:
        """Remove a file and what a kill left of writing it."""
        target = self._folder / path
        try:
            _temporary(target).unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise self._refused(_WRITTEN, error) from None

    def _open_lock(self, path: str) -> IO[bytes]:
        target = self._folder / path
        try:
            self._make_folders(target.parent)
            return target.open("ab")
        except OSError as error:
            raise self._refused(_WRITTEN, error) from None

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and its parents, their names durable."""
        if folder in self._durable:
            return
        folder.mkdir(parents=True, exist_ok=True)
        inside = [each for each in folder.parents if each.is_relative_to(self._folder)]
        for each in (folder, *inside):
            if each not in self._durable:
                sync_folder(each.parent)
                self._durable.add(each)

    def _refused(self, what: str, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"the archive {self.name} cannot be {what}: {error.strerror or error}"
            f" ({error.filename or self.name}); nothing is lost, start again once it can"
        )


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
