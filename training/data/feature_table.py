"""Features of ticks as an Arrow table, one row per tick that the flow would output."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from flows.codec.batch import GAP, LATE, RESTART, WARM
from flows.settings import Settings
from flows.targets import label_columns
from schemas.features import FEATURE_SET, NAMES
from schemas.models import TargetSpec
from training.data.build import FeatureTable, compute_features
from training.data.sources import parse_time, read_sources
from training.data.ticklog import TickLog

LABELS = {
    "label_volatility_ratio": TargetSpec(
        name="volatility_spike", kind="classification", definition="relative"
    ),
    "label_volatility": TargetSpec(
        name="volatility_spike", kind="classification", definition="absolute"
    ),
    "label_forward_return": TargetSpec(
        name="forward_return", kind="regression", definition="return"
    ),
}


def feature_table(log: TickLog, table: FeatureTable, *, labels: bool = False) -> pa.Table:
    """Return one row per tick that the flow would output, with lineage, flags and features."""
    rows = np.flatnonzero(table.scored)
    batch = log.batch
    pairs = log.symbols.names
    numbers = pa.array(batch.symbol_id[rows])
    flags = table.flags[rows]
    columns = {
        "symbol": _named(numbers, [symbol for _venue, symbol in pairs]),
        "venue": _named(numbers, [venue for venue, _symbol in pairs]),
        "partition": pa.array(np.full(len(rows), batch.partition, np.int32)),
        "offset": pa.array(batch.offset[rows]),
        "ts_event_ns": pa.array(batch.ts_event_ns[rows]),
        "ts_effective_ns": pa.array(table.ts_effective_ns[rows]),
        "mid": pa.array(table.mid[rows]),
        "warm": pa.array((flags & WARM) != 0),
        "late": pa.array((flags & LATE) != 0),
        "gap": pa.array((flags & GAP) != 0),
        "restart": pa.array((flags & RESTART) != 0),
    }
    columns |= {
        name: pa.array(table.values[rows, position], from_pandas=True)
        for position, name in enumerate(NAMES)
    }
    if labels:
        for name, spec in LABELS.items():
            value = label_columns(
                batch.symbol_id, table.ts_effective_ns, table.mid, table.flags, spec
            ).value
            columns[name] = pa.array(value[rows], from_pandas=True)
    return pa.table(columns).replace_schema_metadata({"feature_set": str(FEATURE_SET)})


def computed_tables(
    source: Sequence[str],
    settings: Settings,
    since: str | None,
    until: str | None,
    title: str,
    bars: Progress,
) -> Iterator[tuple[TickLog, FeatureTable]]:
    """Read ticks and yield each log with its features, showing progress.

    Parameters
    ----------
    source
        See :func:`training.data.sources.read_sources`.
    since, until
        ISO times of the first tick and of the end, if limited.
    title
        Of the longer progress bar.

    Raises
    ------
    VoltickError
        A source cannot be read, or a time is none.
    """
    reading = bars.add_task("reading ticks", total=None)
    found = read_sources(
        source,
        settings,
        from_ns=None if since is None else parse_time(since),
        to_ns=None if until is None else parse_time(until),
    )
    bars.update(reading, total=1, completed=1)
    task = bars.add_task(title, total=sum(len(log) for log in found))
    for log in found:
        step = partial(bars.advance, task)
        yield log, compute_features(log.batch, step, log.max_symbols)


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet; the caller sees to it that it is whole."""
    pq.write_table(table, path, compression="zstd")


def _named(numbers: pa.Array, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(numbers, pa.array(names)).cast(pa.string())
