"""Make one file of many small ones, while the archive is read and written.

The writer cuts a file of each symbol at every interval. Neighbours of one folder are merged, in the
order of their offsets, and the switch is one step: from the moment that the merged file is there it
counts, and those that it was made of do not (:mod:`.catalog`). They are removed by the next call,
so that whoever has just listed them can still read them. A call that is killed has done a part of
the work, and nothing else.

Files are merged once they have enough rows together; a day that is long over gets one file also
where there are fewer. Where a merged file ends follows from the rows alone, so that two calls at a
time make the same files, or one that holds the other's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from flows.connectors.parquet.catalog import (
    ArchivedFile,
    archived_files,
    replaced_files,
    unreadable_files,
)
from flows.connectors.parquet.layout import RunName
from flows.connectors.parquet.reading import DAMAGED_PARQUET, open_parquet, row_count
from flows.connectors.parquet.storage import Storage
from flows.connectors.parquet.writer import parquet_of
from flows.errors import ArchiveError

X = TypeVar("X")

ROWS = 1_000_000
"""Some hundred megabytes while they are merged, some dozen as a file."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a call has done to a topic.

    Attributes
    ----------
    files, into, rows
        So many files were merged into so many, with so many rows.
    removed
        Files that an earlier call had merged.
    """

    topic: str
    files: int = 0
    into: int = 0
    rows: int = 0
    removed: int = 0


def merge_topic(
    storage: Storage, topic: str, *, rows: int = ROWS, settled_before: str = ""
) -> Merged:
    """Merge a topic's files, and remove those that an earlier call has merged.

    Parameters
    ----------
    rows
        A merged file has at least so many.
    settled_before
        Days before this one (``2026-02-01``) get a file of fewer rows, too.

    Raises
    ------
    ArchiveError
        The archive cannot be read or written, or a file of it is damaged.
    """
    old = replaced_files(storage, topic)
    for file in old:
        storage.delete(file.path)
    done = Merged(topic, removed=len(old))
    for group in _groups([*archived_files(storage, topic), *unreadable_files(storage, topic)]):
        is_settled = group[0].date is not None and group[0].date < settled_before
        for part in cut([(file, _rows(storage, file)) for file in group], rows, is_settled):
            count = _merge(storage, part)
            done = Merged(topic, done.files + len(part), done.into + 1, done.rows + count, len(old))
    return done


def cut(
    files: Iterable[tuple[ArchivedFile, int]], rows: int, is_settled: bool
) -> list[list[ArchivedFile]]:
    """Return which neighbours become one file.

    Parameters
    ----------
    files
        Of one folder, partition and log, in order, with the rows of each.
    is_settled
        Whether the rest is merged although it has fewer rows.
    """
    parts: list[list[ArchivedFile]] = []
    part: list[ArchivedFile] = []
    count = 0
    for file, its_rows in files:
        part.append(file)
        count += its_rows
        if count >= rows:
            parts.append(part)
            part, count = [], 0
    if is_settled:
        parts.append(part)
    return [each for each in parts if len(each) > 1]


def _groups(files: Iterable[ArchivedFile]) -> list[list[ArchivedFile]]:
    """Return the files of each folder, partition and log, in order, where there are several."""
    found: dict[tuple[str, int, str], list[ArchivedFile]] = defaultdict(list)
    for file in files:
        found[file.path.rpartition("/")[0], file.run.partition, file.log_id].append(file)
    groups = (sorted(group, key=lambda file: file.run.first) for group in found.values())
    return [group for group in groups if len(group) > 1]


def _rows(storage: Storage, file: ArchivedFile) -> int:
    return _read(storage, file, row_count) if file.run.rows is None else file.run.rows


def _merge(storage: Storage, files: Sequence[ArchivedFile]) -> int:
    """Write one file of some, and return its rows."""
    tables = [_read(storage, file, lambda found: open_parquet(found).read()) for file in files]
    # Fields are only ever added to messages: what an older file lacks is null.
    table = pa.concat_tables(tables, promote_options="default")
    first, last = files[0].run, files[-1].run
    since = first.epoch if first.since is None else first.since
    name = RunName(last.partition, last.epoch, first.first, last.following, since, table.num_rows)
    folder = files[0].path.rpartition("/")[0]
    storage.put(f"{folder}/{name}", memoryview(parquet_of(table)))
    return int(table.num_rows)


def _read(storage: Storage, file: ArchivedFile, how: Callable[[bytes], X]) -> X:
    content = storage.read(file.path)
    try:
        if content is not None:
            return how(content)
    except DAMAGED_PARQUET as error:
        message = f"{storage.url(file.path)} of the archive is damaged: {error}"
        raise ArchiveError(message) from None
    message = f"{storage.url(file.path)} of the archive has gone: another call merges it"
    raise ArchiveError(message)
