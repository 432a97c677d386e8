"""Where an archive lies: in a folder, or below a prefix of an S3 bucket."""

import hashlib
import os
from pathlib import Path

from flows.connectors.parquet.mirror import mirror
from flows.connectors.parquet.s3 import SCHEME, S3Storage
from flows.connectors.parquet.storage import LocalStorage, Storage

_DIGEST_BYTES = 6


def is_remote(place: str | Path) -> bool:
    """Return whether an archive lies in a bucket."""
    return str(place).startswith(SCHEME)


def open_storage(place: str | Path) -> Storage:
    """Return the storage of an archive: a path, or ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ArchiveError
        It lies in a bucket, and the client library is not installed.
    """
    return S3Storage(str(place)) if is_remote(place) else LocalStorage(Path(place))


def local_copy(place: str | Path) -> Path:
    """Return a folder with all that counts of an archive; a folder is its own.

    Of one in a bucket a copy is kept in the user's cache folder, and what is new is fetched.

    Raises
    ------
    ArchiveError
        The archive cannot be read, or the copy not be written.
    """
    if not is_remote(place):
        return Path(place)
    storage = S3Storage(str(place))
    digest = hashlib.blake2b(storage.name.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    folder = _copies() / f"{storage.name.rpartition('/')[2]}-{digest}"
    mirror(storage, folder)
    return folder


def _copies() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "voltick" / "archives"
