"""Ticks out of an archive: the messages as the topic holds them, through the pipeline's own checks.

What is no tick lies in the archive, too. All are put in the order of their log and decoded as from
the topic, so that whatever depends on a refused message, such as its gap mark, is as served.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.connectors.parquet.catalog import ArchivedFile, archived_files, unreadable_files
from flows.connectors.parquet.layout import topic_folder
from flows.connectors.parquet.storage import LocalStorage
from flows.errors import TrainingError
from schemas.models import Provenance
from schemas.ticks import Tick
from schemas.topics import TICKS_RAW
from training.data.ticklog import TickLog, concatenate, provenance_of

_BATCH = 8_192
_ENCODE = msgspec.json.Encoder().encode
_FIELDS = Tick.__struct_fields__


def is_archive(path: Path) -> bool:
    """Tell whether a folder is an archive with ticks."""
    return (path / topic_folder(TICKS_RAW)).is_dir()


def read_archive(
    path: Path, origin: Provenance, allowed: frozenset[str] = frozenset()
) -> list[TickLog]:
    """Return the archived ticks, one log for each partition of each log that was archived.

    Parameters
    ----------
    origin
        Of ticks that are not the simulator's.
    allowed
        See :func:`flows.codec.decode.decode`.

    Raises
    ------
    ArchiveError
        The archive's state is damaged.
    TrainingError
        A file is damaged, or there is no usable tick.
    """
    storage = LocalStorage(path)
    files: dict[tuple[int, str], list[ArchivedFile]] = defaultdict(list)
    for file in (*archived_files(storage, TICKS_RAW), *unreadable_files(storage, TICKS_RAW)):
        files[file.run.partition, file.log_id].append(file)
    logs = [
        _read_log(storage, partition, some, origin, allowed)
        for (partition, _log_id), some in sorted(files.items())
    ]
    if not any(len(log) for log in logs):
        msg = f"too few ticks: the archive {path} holds no usable one"
        raise TrainingError(msg)
    return [log for log in logs if len(log)]


def _read_log(
    storage: LocalStorage,
    partition: int,
    files: list[ArchivedFile],
    origin: Provenance,
    allowed: frozenset[str],
) -> TickLog:
    symbols = SymbolTable()
    batches: list[TickBatch] = []
    dead = 0
    for raw in _messages(storage, partition, files):
        batch, letters = decode(raw, symbols, TICKS_RAW, allowed)
        batch.ticks.clear()
        batches.append(batch)
        dead += len(letters)
    name = f"archive:{TICKS_RAW}[{partition}]"
    kind = provenance_of(symbols, origin)
    return TickLog(name, concatenate(batches, partition), symbols, kind, dead)


def _messages(
    storage: LocalStorage, partition: int, files: list[ArchivedFile]
) -> Iterator[RawBatch]:
    """Yield the messages of a log in its order; the files of a run are read together."""
    runs: dict[tuple[int, int], list[ArchivedFile]] = defaultdict(list)
    for file in files:
        runs[file.run.first, file.run.epoch].append(file)
    for _place, some in sorted(runs.items()):
        rows = sorted(row for file in some for row in _rows(storage, file))
        for at in range(0, len(rows), _BATCH):
            offsets, times, values = map(list, zip(*rows[at : at + _BATCH], strict=True))
            yield RawBatch(partition, values, offsets, times, offsets[-1] + 1)


def _rows(storage: LocalStorage, file: ArchivedFile) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, Kafka timestamp and payload of a file's messages."""
    try:
        table = pq.ParquetFile(storage.url(file.path)).read()
        place = zip(
            table.column("log_offset").to_pylist(),
            table.column("log_ts_ms").to_pylist(),
            strict=True,
        )
        payloads = (
            table.column("payload").to_pylist()
            if "payload" in table.column_names
            else map(_ENCODE, _ticks(table))
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        msg = f"cannot read {storage.url(file.path)} of the archive: {error}"
        raise TrainingError(msg) from None
    for (offset, ts_ms), payload in zip(place, payloads, strict=True):
        yield offset, ts_ms, payload


def _ticks(table: pa.Table) -> Iterator[Tick]:
    # Fields that a file lacks were added to the schema later, with a default.
    names = [name for name in _FIELDS if name in table.column_names]
    columns: list[list[Any]] = [table.column(name).to_pylist() for name in names]
    for values in zip(*columns, strict=True):
        yield Tick(**dict(zip(names, values, strict=True)))
