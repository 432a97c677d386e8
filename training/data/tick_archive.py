"""Ticks out of an archive: the messages as the topic holds them, through the pipeline's own checks.

What is no tick lies in the archive, too. All are put in the order of their log and decoded as from
the topic, so that whatever depends on a refused message, such as its gap mark, is as served.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import RawBatch
from flows.connectors.parquet.catalog import ArchivedFile, archived_files, unreadable_files
from flows.connectors.parquet.layout import topic_folder
from flows.connectors.parquet.reading import DAMAGED_PARQUET
from flows.connectors.parquet.storage import LocalStorage
from flows.errors import TrainingError
from schemas.models import Provenance
from schemas.ticks import Tick
from schemas.topics import TICKS_RAW
from training.data.decoding import LogDecoder
from training.data.ticklog import TickLog

_BATCH = 8_192
_ENCODE = msgspec.json.Encoder().encode
_FIELDS = Tick.__struct_fields__

_Row = tuple[int, int, bytes]
"""Offset, Kafka timestamp (milliseconds) and payload."""


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
    found = [log for log in logs if log is not None]
    if not found:
        msg = f"too few ticks: the archive {path} holds no usable one"
        raise TrainingError(msg)
    return found


def _read_log(
    storage: LocalStorage,
    partition: int,
    files: list[ArchivedFile],
    origin: Provenance,
    allowed: frozenset[str],
) -> TickLog | None:
    """Return the ticks of a log; None where it holds no usable one."""
    decoder = LogDecoder(TICKS_RAW, allowed)
    for raw in _messages(storage, partition, files):
        decoder.add(raw)
    return decoder.log(f"archive:{TICKS_RAW}[{partition}]", origin, partition) if decoder else None


def _messages(
    storage: LocalStorage, partition: int, files: list[ArchivedFile]
) -> Iterator[RawBatch]:
    """Yield the messages of a log in its order, whichever of its files they lie in."""
    rows = _in_order(storage, sorted(files, key=lambda file: file.run.first))
    while some := list(islice(rows, _BATCH)):
        offsets, times, values = map(list, zip(*some, strict=True))
        yield RawBatch(partition, values, offsets, times, offsets[-1] + 1)


def _in_order(storage: LocalStorage, files: list[ArchivedFile]) -> Iterator[_Row]:
    """Yield the rows of files by offset; a file is opened when its first offset is near.

    Parameters
    ----------
    files
        In the order of their first offsets.
    """
    waiting = deque(files)
    open_: list[tuple[_Row, Iterator[_Row]]] = []  # a heap; no two rows share an offset
    while open_ or waiting:
        while waiting and (not open_ or waiting[0].run.first <= open_[0][0][0]):
            _push(open_, _rows(storage, waiting.popleft()))
        if open_:
            row, rest = heappop(open_)
            yield row
            _push(open_, rest)


def _push(open_: list[tuple[_Row, Iterator[_Row]]], rows: Iterator[_Row]) -> None:
    row = next(rows, None)
    if row is not None:
        heappush(open_, (row, rows))


def _rows(storage: LocalStorage, file: ArchivedFile) -> Iterator[_Row]:
    """Yield offset, Kafka timestamp and payload of a file's messages."""
    try:
        with pq.ParquetFile(storage.url(file.path)) as parquet:
            for batch in parquet.iter_batches(_BATCH):
                yield from _batch_rows(batch)
    except (KeyError, *DAMAGED_PARQUET) as error:
        msg = f"cannot read {storage.url(file.path)} of the archive: {error}"
        raise TrainingError(msg) from None


def _batch_rows(batch: pa.RecordBatch) -> Iterator[_Row]:
    names = batch.schema.names
    payloads = (
        batch.column("payload").to_pylist() if "payload" in names else map(_ENCODE, _ticks(batch))
    )
    return zip(
        batch.column("log_offset").to_pylist(),
        batch.column("log_ts_ms").to_pylist(),
        payloads,
        strict=True,
    )


def _ticks(batch: pa.RecordBatch) -> Iterator[Tick]:
    # Fields that a file lacks were added to the schema later, with a default.
    names = [name for name in _FIELDS if name in batch.schema.names]
    columns: list[list[Any]] = [batch.column(name).to_pylist() for name in names]
    for values in zip(*columns, strict=True):
        yield Tick(**dict(zip(names, values, strict=True)))
