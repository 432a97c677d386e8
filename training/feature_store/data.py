"""The archive's feature rows as Feast reads them: one Parquet file a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.host.whole_files import whole_file
from flows.numeric.time import NS_PER_DAY
from flows.store import load_features
from flows.store.snapshot import open_archive, take_snapshot
from schemas.features import NAMES

_KEY = ("venue", "symbol", "ts_event_ns")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows were written, and their times, nanoseconds since the UNIX epoch."""

    rows: int
    first_ns: int
    last_ns: int


def export_rows(archive: str | Path, folder: Path) -> Exported | None:
    """Write every feature row of this code's FEATURE_SET below a folder, in place of older ones.

    Returns
    -------
    Exported
        None where the archive holds no such row.

    Raises
    ------
    ArchiveError
        The archive cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    rows, first_ns, last_ns = 0, 2**63 - 1, 0
    for day, table in _days(archive):
        name = f"{day}.parquet"
        with whole_file(folder / name) as partial:
            pq.write_table(table, partial, compression="zstd")
        written.add(name)
        times = table.column("event_timestamp").cast(pa.int64())
        rows += len(table)
        first_ns = min(first_ns, times[0].as_py())
        last_ns = max(last_ns, times[-1].as_py())
    for old in folder.glob("*.parquet"):
        if old.name not in written:
            old.unlink()
    return Exported(rows, first_ns, last_ns) if rows else None


def feast_rows(features: pa.Table) -> pa.Table:
    """Return one row for each market and moment, by time: the last of the log.

    Parameters
    ----------
    features
        As ``load_features`` returns them.
    """
    # Feast knows rows by market and time alone; of several ticks of one moment the last is served.
    place = pa.array(np.arange(len(features)))
    # Without threads: one could still hold the array of NumPy while the interpreter ends.
    places = features.select(_KEY).append_column("place", place)
    last = places.group_by(list(_KEY), use_threads=False)
    kept = features.take(np.sort(last.aggregate([("place", "max")]).column("place_max").to_numpy()))
    kept = kept.sort_by([("ts_event_ns", "ascending"), ("venue", "ascending")])
    time = kept.column("ts_event_ns").cast(pa.timestamp("ns", "UTC"))
    return kept.select(["venue", "symbol", "warm", *NAMES]).append_column("event_timestamp", time)


def _days(archive: str | Path) -> Iterator[tuple[str, pa.Table]]:
    files = take_snapshot(open_archive(archive)).files["ticks_features"]
    for day in sorted({file.date for file in files}):
        start_ns = int(np.datetime64(day, "ns").astype(np.int64))
        loaded = load_features(archive, start=start_ns, end=start_ns + NS_PER_DAY)
        if len(loaded):
            yield day, feast_rows(loaded)
