"""Archives for tests, written as the flow writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.codec.batch import RawBatch
from flows.connectors.parquet.catalog import read_state
from flows.connectors.parquet.storage import LocalStorage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning

LOG_ID = "log"


def raw_batch(messages: Sequence[Any], first: int, partition: int = 0) -> RawBatch:
    """Return messages as a batch; bytes are taken as they are."""
    values = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in messages]
    return RawBatch(
        partition=partition,
        values=values,
        offsets=list(range(first, first + len(values))),
        timestamps_ms=[1_000 + first + at for at in range(len(values))],
        next_offset=first + len(values),
    )


def open_writer(folder: Path, topic: str, partition: int = 0) -> ArchiveWriter:
    """Return a writer that goes on where the archive ends."""
    storage = LocalStorage(folder)
    state = read_state(storage, topic, partition)
    start = 0 if state is None else state.next_offset
    writer = ArchiveWriter(storage, topic, partition, Beginning(start, LOG_ID))
    writer.take_over()
    return writer


def archive(folder: Path, topic: str, messages: Sequence[Any], partition: int = 0) -> None:
    """Write messages behind what the topic's partition holds, as one run."""
    writer = open_writer(folder, topic, partition)
    writer.write(raw_batch(messages, writer.floor, partition))
    writer.commit()
    writer.close()


def archive_bars(folder: Path, venue: str, symbol: str, interval_s: int, rows: pa.Table) -> None:
    """Write bars of one day as the backfill does; ``rows`` has the columns from ts_open_ns on."""
    names = {60: "1m", 3_600: "1h"}
    date = np.datetime64(rows.column("ts_open_ns")[0].as_py(), "ns").astype("datetime64[D]")
    parts = {"venue": venue, "symbol": symbol, "interval": names[interval_s]}
    where = folder.joinpath("backfill", *(f"{k}={quote(v, safe='')}" for k, v in parts.items()))
    where.mkdir(parents=True, exist_ok=True)
    fixed = {
        "symbol": pa.array([symbol] * len(rows), pa.string()),
        "venue": pa.array([venue] * len(rows), pa.string()),
        "interval_s": pa.array([interval_s] * len(rows), pa.int32()),
    }
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    pq.write_table(pa.table({**fixed, **columns}), where / f"{date}.parquet")
