"""Copy what counts of an archive into a folder, so that whatever reads a folder reads it."""

from pathlib import Path

import msgspec

from flows.connectors.parquet import catalog, layout
from flows.connectors.parquet.catalog import archived_files, unreadable_files
from flows.connectors.parquet.layout import parse_run
from flows.connectors.parquet.storage import LocalStorage, Storage
from flows.errors import ArchiveError
from schemas.decoding import UNREADABLE
from schemas.topics import ARCHIVED

_VERSIONS = f"{layout.BACKFILL}/.versions.json"
"""Of a copy: hidden, so that it is no file of the archive."""


def mirror(source: Storage, folder: Path) -> None:
    """Fetch the files that count and are not there yet, and remove those that count no more.

    A data file never changes under its name, so its size is enough to know it by. The states come
    last: a copy that is cut short holds an older state, by which the new files do not count.

    Raises
    ------
    ArchiveError
        The archive cannot be read, or the copy not be written.
    """
    target = LocalStorage(folder)
    for topic in ARCHIVED:
        # Read before the files are listed: of every run that counts all files are found then.
        states = {
            layout.state_file(topic, partition): msgspec.json.encode(state)
            for partition, state in catalog.states(source, topic).items()
        }
        wanted = {
            file.path: file.size
            for file in (*archived_files(source, topic), *unreadable_files(source, topic))
        }
        tops = (f"{layout.topic_folder(topic)}/", f"{layout.unreadable_folder(topic)}/")
        there = {path: size for top in tops for path, size in target.files(top)}
        for path, size in wanted.items():
            if there.get(path) != size:
                target.put(path, _content(source, path))
        for path, content in states.items():
            target.put(path, content)
        for path in set(there) - set(wanted):
            if parse_run(path.rpartition("/")[2]) is not None:
                target.delete(path)
    _mirror_bars(source, target)


def _mirror_bars(source: Storage, target: Storage) -> None:
    """Fetch the days that are new or were replaced; each counts by itself."""
    known = _known_versions(target)
    top = f"{layout.BACKFILL}/"
    there = {path for path, _ in target.files(top) if path.endswith(layout.SUFFIX)}
    versions = {
        path: version for path, version in source.versions(top) if path.endswith(layout.SUFFIX)
    }
    for path in there - set(versions):
        target.delete(path)
    stale = [
        path
        for path, version in versions.items()
        if path not in there or known.get(path) != version
    ]
    for path in stale:
        target.put(path, _content(source, path))
    if known != versions:
        # Last: a copy that is cut short fetches again what is not listed here.
        target.put(_VERSIONS, msgspec.json.encode(versions))


def _known_versions(target: Storage) -> dict[str, str]:
    """Return the versions of the copies; none where nothing usable is noted."""
    noted = target.read(_VERSIONS)
    try:
        return {} if noted is None else msgspec.json.decode(noted, type=dict[str, str])
    except UNREADABLE:
        return {}


def _content(source: Storage, path: str) -> bytes:
    content = source.read(path)
    if content is None:
        message = f"{source.url(path)} has gone while it was copied (a merge): try again"
        raise ArchiveError(message)
    return content
