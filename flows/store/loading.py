"""Load rows of an archive into memory, for notebooks and programs.

    >>> from flows.store import as_frame, load_ticks
    >>> ticks = load_ticks("archive", symbols="BTC-USD", start="2026-02-01", end="2026-02-02")
    >>> frame = as_frame(ticks)

Filters are pushed down: files of other days and symbols are not opened, columns that are not asked
for are not read. Where nothing matches, the table is empty, with the same columns and types.

Times are int64 nanoseconds since the UNIX epoch (UTC), prices are in quote currency, quantities in
base currency; what was not known is null.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from flows.errors import ArchiveError
from flows.store import contract
from flows.store.contract import TABLES, StoreTable
from flows.store.database import connect, one_line
from flows.store.selection import (
    Selection,
    When,
    columns_of,
    condition,
    selection,
    wanted_files,
)
from flows.store.snapshot import Snapshot, open_archive, take_snapshot
from schemas.features import FEATURE_SET
from schemas.features import NAMES as FEATURE_NAMES

Names = str | Iterable[str] | None

_NULLABLE_FRAMES = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def load_ticks(
    archive: str | Path,
    *,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load ticks in the order of their log: partition by partition, by offset.

    Parameters
    ----------
    archive
        Folder that ``flows.archive`` writes.
    start, end
        Event times in [start, end).
    columns
        Names of :class:`schemas.ticks.Tick`, and ``log_partition``, ``log_offset`` and
        ``log_ts_ms`` (Kafka's time, ms since the UNIX epoch, -1 for none). All if None.

    Raises
    ------
    ArchiveError
        The archive cannot be read.
    ConfigurationError
        A time or a column is unknown.
    """
    return _load(archive, contract.TICKS, selection(venues, symbols, start, end), columns)


def load_candles(
    archive: str | Path,
    *,
    interval_s: int | None = None,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load the candles that ``flows.candles`` wrote, in the order of their log.

    Parameters
    ----------
    interval_s
        1 or 60 seconds; both if None.
    start, end
        Opening times in [start, end).
    columns
        Names of :class:`schemas.ticks.Candle` and of the log's; all if None.

    Raises
    ------
    ArchiveError, ConfigurationError
        As :func:`load_ticks`.
    """
    chosen = selection(venues, symbols, start, end, interval_s)
    return _load(archive, contract.CANDLES, chosen, columns)


def count_candles(
    archive: str | Path,
    *,
    interval_s: int | None = None,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
) -> int:
    """Count what :func:`load_candles` would load, without loading it."""
    chosen = selection(venues, symbols, start, end, interval_s)
    table = TABLES[contract.CANDLES]
    where, values = condition(table, chosen)
    query = f"SELECT count(*) AS candles FROM {table.name} WHERE {where}"
    schema = pa.schema([pa.field("candles", pa.int64(), nullable=False)])
    return int(_run(archive, table, chosen, query, values, schema).column("candles")[0].as_py())


def load_bars(
    archive: str | Path,
    *,
    interval_s: int | None = None,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load the bars that ``flows.backfill`` wrote, by venue, symbol, interval and time.

    Raises
    ------
    ArchiveError, ConfigurationError
        As :func:`load_ticks`.
    """
    chosen = selection(venues, symbols, start, end, interval_s)
    return _load(archive, contract.BARS, chosen, columns)


def load_features(
    archive: str | Path,
    *,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load feature rows, one column a feature, in the order of their log.

    Rows of another FEATURE_SET than this code's have other features, and are left out.

    Parameters
    ----------
    columns
        Names of features (float32, units in ``schemas.features``), of the other fields of
        :class:`schemas.predictions.FeatureRow` and of the log's; all if None.

    Raises
    ------
    ArchiveError, ConfigurationError
        As :func:`load_ticks`.
    """
    table = TABLES[contract.FEATURES]
    chosen = selection(venues, symbols, start, end)
    others = [field for field in table.schema if field.name != "values"]
    schema = pa.schema([*others, *(pa.field(name, pa.float32()) for name in FEATURE_NAMES)])
    wanted = columns_of(schema.names, columns, table.name)
    made = ", ".join(
        f'"values"[{FEATURE_NAMES.index(name) + 1}] AS "{name}"'
        if name in FEATURE_NAMES
        else f'"{name}"'
        for name in wanted
    )
    where, values = condition(table, chosen)
    query = (
        f"SELECT {made} FROM {table.name} WHERE feature_set = {FEATURE_SET} AND {where}"
        f" ORDER BY {', '.join(table.order)}"
    )
    return _run(archive, table, chosen, query, values, _part(schema, wanted))


def load_predictions(
    archive: str | Path,
    *,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load predictions, one row for each target, in the order of their log.

    Parameters
    ----------
    columns
        Fields of :class:`schemas.predictions.Prediction`; ``target`` and the fields of its
        :class:`schemas.predictions.TargetScore` in place of ``scores``; the log's. All if None.

    Raises
    ------
    ArchiveError, ConfigurationError
        As :func:`load_ticks`.
    """
    return _load_scores(
        archive, contract.PREDICTIONS, selection(venues, symbols, start, end), columns
    )


def load_outcomes(
    archive: str | Path,
    *,
    venues: Names = None,
    symbols: Names = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Load outcomes, one row for each target, in the order of their log.

    Parameters
    ----------
    columns
        Fields of :class:`schemas.predictions.Outcome`; ``target`` and the fields of its
        :class:`schemas.predictions.OutcomeScore` in place of ``scores``; the log's. All if None.

    Raises
    ------
    ArchiveError, ConfigurationError
        As :func:`load_ticks`.
    """
    return _load_scores(archive, contract.OUTCOMES, selection(venues, symbols, start, end), columns)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a loaded table as a DataFrame, no value rounded.

    Integers and truths that the contract allows to be null are pandas' ``Int64`` and ``boolean``,
    whether one is null or not; others, and floats (NaN where null), are NumPy's.
    """
    columns: dict[str, Any] = {}
    for field in table.schema:
        # A column without a chunk would lose its type.
        column = table.column(field.name) if len(table) else pa.array([], field.type)
        kind = _NULLABLE_FRAMES.get(field.type) if field.nullable else None
        if kind is None:
            columns[field.name] = column.to_pandas()
        else:
            columns[field.name] = column.to_pandas(types_mapper={field.type: kind}.get)
    return pd.DataFrame(columns)


def _load(
    archive: str | Path, name: str, chosen: Selection, columns: Sequence[str] | None
) -> pa.Table:
    table = TABLES[name]
    wanted = columns_of(table.schema.names, columns, name)
    where, values = condition(table, chosen)
    listed = ", ".join(f'"{column}"' for column in wanted)
    query = f"SELECT {listed} FROM {name} WHERE {where} ORDER BY {', '.join(table.order)}"
    return _run(archive, table, chosen, query, values, _part(table.schema, wanted))


def _load_scores(
    archive: str | Path, name: str, chosen: Selection, columns: Sequence[str] | None
) -> pa.Table:
    table = TABLES[name]
    one = table.schema.field("scores").type.value_type
    schema = pa.schema([*(each for each in table.schema if each.name != "scores"), *one])
    wanted = columns_of(schema.names, columns, name)
    listed = ", ".join(
        f'one."{column}" AS "{column}"' if one.get_field_index(column) >= 0 else f'"{column}"'
        for column in wanted
    )
    where, values = condition(table, chosen)
    query = (
        f"SELECT {listed} FROM (SELECT *, unnest(scores) AS one FROM {name} WHERE {where})"
        f" ORDER BY {', '.join(table.order)}, one.target"
    )
    return _run(archive, table, chosen, query, values, _part(schema, wanted))


def _run(
    archive: str | Path,
    table: StoreTable,
    chosen: Selection,
    query: str,
    values: list[object],
    schema: pa.Schema,
) -> pa.Table:
    snapshot = take_snapshot(open_archive(archive))
    files = {table.name: wanted_files(snapshot.files[table.name], chosen)}
    with connect(Snapshot(snapshot.name, files), [table.name]) as connection:
        try:
            found = connection.sql(query, params=values).to_arrow_table()
        except duckdb.Error as error:
            message = f"the archive's {table.name} cannot be read: {one_line(error)}"
            raise ArchiveError(message) from None
    return found.cast(
        # A file of an older version lacks what was added since: null there, whatever the contract.
        pa.schema(
            [
                field.with_nullable(field.nullable or column.null_count > 0)
                for field, column in zip(schema, found.columns, strict=True)
            ]
        )
    )


def _part(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])
