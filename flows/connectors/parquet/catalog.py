"""Which files of the archive count, for whatever reads it.

A writer may be at work meanwhile: states are read before files are listed, so that of every run
that counts all files are found. A file that was merged into another counts no more from the moment
that the other is there.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import msgspec

from flows.connectors.parquet import layout
from flows.connectors.parquet.layout import RunName, parse_run
from flows.connectors.parquet.state import State
from flows.connectors.parquet.storage import Storage
from flows.errors import ArchiveError
from schemas.decoding import decode_or_none

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One data file that counts.

    Attributes
    ----------
    path
        Below the archive's folder.
    size
        Bytes.
    run
        Its partition and offsets.
    log_id
        Of the log that the offsets are of.
    date, symbol
        Of all its messages; None where it holds what is no message of its topic.
    """

    path: str
    size: int
    run: RunName
    log_id: str
    date: str | None = None
    symbol: str | None = None


def decoded(storage: Storage, path: str, content: bytes, kind: type[Content]) -> Content:
    """Return what a file of the state holds.

    Raises
    ------
    ArchiveError
        It is damaged.
    """
    found = decode_or_none(msgspec.json.Decoder(kind).decode, content)
    if found is None:
        message = (
            f"the archive's {storage.url(path)} is damaged: restore it, or archive into another"
            " folder"
        )
        raise ArchiveError(message)
    return found


def read_state(storage: Storage, topic: str, partition: int) -> State | None:
    """Return a partition's state; None where nothing of it is archived.

    Raises
    ------
    ArchiveError
        It cannot be read, or is damaged.
    """
    path = layout.state_file(topic, partition)
    content = storage.read(path)
    return None if content is None else decoded(storage, path, content, State)


def states(storage: Storage, topic: str) -> dict[int, State]:
    """Return the states of a topic by partition.

    Raises
    ------
    ArchiveError
        See :func:`read_state`.
    """
    found = {}
    for path, _size in storage.files(f"{layout.state_folder(topic)}/"):
        stem = path.rpartition("/")[2].removesuffix(".json")
        if stem.isdigit():
            state = read_state(storage, topic, int(stem))
            if state is not None:
                found[int(stem)] = state
    return found


def archived_files(storage: Storage, topic: str) -> list[ArchivedFile]:
    """Return the files that count of a topic's messages, in order of date and symbol.

    Raises
    ------
    ArchiveError
        The archive cannot be read, or its state is damaged.
    """
    return _look(storage, topic, f"{layout.topic_folder(topic)}/")[0]


def unreadable_files(storage: Storage, topic: str) -> list[ArchivedFile]:
    """Return the files that count of what is no message of the topic.

    Raises
    ------
    ArchiveError
        See :func:`archived_files`.
    """
    return _look(storage, topic, f"{layout.unreadable_folder(topic)}/")[0]


def replaced_files(storage: Storage, topic: str) -> list[ArchivedFile]:
    """Return the files of a topic that were merged into others, which count in their place.

    Raises
    ------
    ArchiveError
        See :func:`archived_files`.
    """
    tops = layout.topic_folder(topic), layout.unreadable_folder(topic)
    return [file for top in tops for file in _look(storage, topic, f"{top}/")[1]]


def _look(
    storage: Storage, topic: str, prefix: str
) -> tuple[list[ArchivedFile], list[ArchivedFile]]:
    """Return the files that count, and those that were replaced by merged ones."""
    found = list(_files(storage, topic, prefix))
    replaced = {path for group in _by_folder(found) for path in _replaced(storage, group)}
    return (
        [file for file in found if file.path not in replaced],
        [file for file in found if file.path in replaced],
    )


def _by_folder(files: list[ArchivedFile]) -> list[list[ArchivedFile]]:
    """Return the files of each folder, partition and log."""
    groups: dict[tuple[str, int, str], list[ArchivedFile]] = defaultdict(list)
    for file in files:
        groups[file.path.rpartition("/")[0], file.run.partition, file.log_id].append(file)
    return list(groups.values())


def _replaced(storage: Storage, files: list[ArchivedFile]) -> set[str]:
    """Return the paths of the files of one folder, partition and log that a merged one holds.

    Raises
    ------
    ArchiveError
        Two files that would both count have messages in common.
    """
    merged = [file for file in files if file.run.merged]
    if not merged:
        return set()
    gone = {file.path for file in files if any(_holds(each.run, file.run) for each in merged)}
    left = [file for file in files if file.path not in gone]
    left.sort(key=lambda file: file.run.first)
    for one, other in pairwise(left):
        if other.run.first < one.run.following:
            message = (
                f"{storage.url(one.path)} and {storage.url(other.path)} hold the same messages:"
                " merges with different --rows ran at a time; delete the newer of the two"
            )
            raise ArchiveError(message)
    return gone


def _holds(merged: RunName, run: RunName) -> bool:
    """Return whether a merged file has the messages of another one."""
    since = run.epoch if run.since is None else run.since
    return (
        merged != run
        and merged.since is not None
        and merged.since <= since
        and run.epoch <= merged.epoch
        and merged.first <= run.first
        and run.following <= merged.following
    )


def _files(storage: Storage, topic: str, prefix: str) -> Iterator[ArchivedFile]:
    known = states(storage, topic)
    for path, size in storage.files(prefix):
        run = parse_run(path.rpartition("/")[2])
        state = None if run is None else known.get(run.partition)
        if run is None or state is None:
            continue
        span = state.span_of(run)
        if span is not None:
            date, symbol = layout.date_and_symbol(path) or (None, None)
            yield ArchivedFile(path, size, run, span.log_id, date, symbol)
