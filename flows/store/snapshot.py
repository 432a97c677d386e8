"""Which files of an archive count, at one moment, while flows go on writing."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from flows.connectors.parquet import catalog, layout
from flows.connectors.parquet.catalog import ArchivedFile
from flows.connectors.parquet.places import local_copy
from flows.connectors.parquet.storage import LocalStorage, Storage
from flows.errors import ArchiveError
from flows.store.contract import BARS, TABLES
from schemas.ticks import EARLIEST_NS

_BARS = re.compile(
    r"backfill/venue=(?P<venue>[^/]+)/symbol=(?P<symbol>[^/]+)/interval=(?P<interval>[^/]+)"
    r"/(?P<date>\d{4}-\d{2}-\d{2})\.parquet"
)
_OWN_FILES = "store/"
# DuckDB takes a path for a pattern where it holds one of these.
_PATTERN = "*?[]"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One Parquet file that counts.

    Attributes
    ----------
    url
        Absolute path, or URL.
    date, symbol
        As its folders are named: UTC day of its rows, ``YYYY-MM-DD``, and :func:`folder_symbol`.
    venue
        Of a file of bars; empty for a topic's file, whose rows name their venue.
    """

    url: str
    bytes: int
    date: str = ""
    symbol: str = ""
    venue: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An archive's files at one moment.

    Attributes
    ----------
    name
        The archive's folder or URL.
    files
        By table; every table is there.
    unreadable
        Files of messages that are none of their topic's, by topic.
    positions
        The next offset of each (topic, partition) that is archived.
    unfinished
        Files of runs that are being written, or whose writer was killed: not counted.
    foreign
        Paths of what lies in the archive and is not the archive's: not counted.
    """

    name: str
    files: Mapping[str, list[StoredFile]]
    unreadable: Mapping[str, list[StoredFile]] = field(default_factory=dict)
    positions: Mapping[tuple[str, int], int] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def folder_symbol(symbol: str) -> str:
    """Return a symbol as a folder's name tells it: itself, unless it is very long."""
    named = layout.date_and_symbol(layout.data_folder("", EARLIEST_NS, symbol) + "/")
    return symbol if named is None else named[1]


def open_archive(archive: str | Path) -> Storage:
    """Return where an archive lies; of one in a bucket, a copy that holds all it holds now.

    Raises
    ------
    ArchiveError
        There is no such folder, or it is empty; the bucket cannot be read.
    """
    root = local_copy(archive).expanduser().absolute()
    if not root.is_dir():
        cause = "is no folder" if root.exists() else "does not exist"
        message = f"the archive {root} {cause}; flows.archive and flows.backfill write one"
        raise ArchiveError(message)
    if any(sign in str(root) for sign in _PATTERN):
        message = f"the archive's path {root} holds one of {_PATTERN}; give it another name"
        raise ArchiveError(message)
    return LocalStorage(root)


def take_snapshot(storage: Storage) -> Snapshot:
    """Return the files of an archive that count now.

    Raises
    ------
    ArchiveError
        Nothing is archived there, it holds something else, or a state file is damaged.
    """
    files: dict[str, list[StoredFile]] = {name: [] for name in TABLES}
    unreadable: dict[str, list[StoredFile]] = {}
    positions: dict[tuple[str, int], int] = {}
    counted: set[str] = set()
    replaced: set[str] = set()
    for table in TABLES.values():
        if table.topic is None:
            continue
        for partition, state in catalog.states(storage, table.topic).items():
            positions[table.topic, partition] = state.next_offset
        kept = catalog.archived_files(storage, table.topic)
        refused = catalog.unreadable_files(storage, table.topic)
        files[table.name] = _stored(storage, kept)
        unreadable[table.topic] = _stored(storage, refused)
        counted |= {file.path for file in (*kept, *refused)}
        replaced |= {file.path for file in catalog.replaced_files(storage, table.topic)}
    unfinished: list[str] = []
    foreign: list[str] = []
    for path, size in storage.files(""):
        bars = _BARS.fullmatch(path)
        if bars is not None:
            symbol, venue = unquote(bars["symbol"]), unquote(bars["venue"])
            files[BARS].append(StoredFile(storage.url(path), size, bars["date"], symbol, venue))
        elif path in counted or path in replaced or _is_state(path) or _is_report(path):
            continue
        elif _is_run(path):
            unfinished.append(path)
        else:
            foreign.append(path)
    if not positions and not files[BARS]:
        beside = f"; it holds {', '.join(foreign[:3])}" if foreign else ", it is empty"
        message = f"{storage.name} is no archive, or nothing has been written to it yet{beside}"
        raise ArchiveError(message)
    return Snapshot(storage.name, files, unreadable, positions, unfinished, foreign)


def _is_report(path: str) -> bool:
    return path.startswith(f"{layout.REPORTS}/")


def _stored(storage: Storage, files: Iterable[ArchivedFile]) -> list[StoredFile]:
    return [
        StoredFile(storage.url(file.path), file.size, file.date or "", file.symbol or "")
        for file in files
    ]


def _is_run(path: str) -> bool:
    known = tuple(
        f"{folder(table.topic)}/"
        for table in TABLES.values()
        if table.topic
        for folder in (layout.topic_folder, layout.unreadable_folder)
    )
    return path.startswith(known) and layout.parse_run(path.rpartition("/")[2]) is not None


def _is_state(path: str) -> bool:
    return path.startswith(("state/", _OWN_FILES)) or (
        path.startswith("backfill/") and path.endswith(".json")
    )
