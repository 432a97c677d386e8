"""From the archive's name to its storage."""

from pathlib import Path

from flows.connectors.parquet.storage import LocalStorage, Storage


def open_storage(place: str) -> Storage:
    """Return the storage of a folder; nothing is created yet."""
    return LocalStorage(Path(place))
