"""How many rows each table had at the last call, kept in the archive for the next one."""

from collections.abc import Mapping

import msgspec

from flows.connectors.parquet.storage import Storage
from schemas.decoding import decode_or_none

_PATH = "store/seen.json"


class Seen(msgspec.Struct, frozen=True):
    """Rows by table."""

    rows: dict[str, int]


def read_seen(storage: Storage) -> dict[str, int]:
    """Return the rows by table at the last call; empty where there was none, or it is damaged.

    Raises
    ------
    ArchiveError
        The archive cannot be read.
    """
    found = decode_or_none(msgspec.json.Decoder(Seen).decode, storage.read(_PATH))
    return {} if found is None else found.rows


def write_seen(storage: Storage, rows: Mapping[str, int]) -> None:
    """Keep the rows by table for the next call.

    Raises
    ------
    ArchiveError
        The archive cannot be written.
    """
    storage.put(_PATH, msgspec.json.encode(Seen(dict(rows))))
