"""Run one query and hand out its rows: as a table, CSV, JSON, or a Parquet file."""

import csv
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from flows.errors import ConfigurationError
from flows.host.terminal import PlainTable, plain_console
from flows.host.whole_files import whole_file
from flows.store.database import one_line

BATCH_ROWS = 10_000


class Format(StrEnum):
    """How rows are handed out."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def run_query(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    """Return the rows of one SELECT, read as they are asked for.

    Raises
    ------
    ConfigurationError
        It is none, is more than one, or cannot be run.
    """
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1:
            message = f"write one query, not {len(statements)}"
            raise ConfigurationError(message)
        if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            kind = statements[0].type.name.lower()
            message = f"the store is only read: write a SELECT, not {kind}"
            raise ConfigurationError(message)
        return connection.sql(query).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise ConfigurationError(one_line(error)) from None


def write_rows(
    reader: pa.RecordBatchReader, form: Format, out: Path | None, most_rows: int | None
) -> int:
    """Write rows to a file, or to stdout; return how many there were.

    Parameters
    ----------
    out
        Takes the name only when all is written. None: stdout.
    most_rows
        A table shows no more, and says so; None for all.

    Raises
    ------
    ConfigurationError
        The file cannot be written, or a row cannot be computed.
    """
    try:
        if out is not None:
            return _write_file(reader, form, out, most_rows)
        if form is Format.PARQUET:
            message = "Parquet is written to a file: name one with --out FILE.parquet"
            raise ConfigurationError(message)
        return _text(reader, form, sys.stdout, most_rows)
    except duckdb.Error as error:
        raise ConfigurationError(one_line(error)) from None
    except pa.ArrowException as error:
        raise ConfigurationError(str(error).splitlines()[0]) from None


def _write_file(
    reader: pa.RecordBatchReader, form: Format, out: Path, most_rows: int | None
) -> int:
    try:
        with whole_file(out) as partial:
            if form is Format.PARQUET:
                return _parquet(reader, partial)
            with partial.open("w", encoding="utf-8") as text:
                return _text(reader, form, text, most_rows)
    except OSError as error:
        message = f"cannot write {out}: {error.strerror or error}"
        raise ConfigurationError(message) from None


def _text(reader: pa.RecordBatchReader, form: Format, text: TextIO, most_rows: int | None) -> int:
    if form is Format.CSV:
        return _csv(reader, text)
    if form is Format.JSON:
        return _json(reader, text)
    return _table(reader, text, most_rows)


def _parquet(reader: pa.RecordBatchReader, path: Path) -> int:
    rows = 0
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _csv(reader: pa.RecordBatchReader, text: TextIO) -> int:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(reader.schema.names)
    rows = 0
    for batch in reader:
        for row in _rows(batch):
            writer.writerow(["" if value is None else _plain(value) for value in row])
            rows += 1
    return rows


def _json(reader: pa.RecordBatchReader, text: TextIO) -> int:
    """Write an array of objects, one a line; what JSON cannot say (NaN, infinity) is null."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    names = reader.schema.names
    rows = 0
    for batch in reader:
        for row in _rows(batch):
            text.write(",\n" if rows else "[\n")
            text.write(encode(dict(zip(names, row, strict=True))).decode())
            rows += 1
    text.write("\n]\n" if rows else "[]\n")
    return rows


def _table(reader: pa.RecordBatchReader, text: TextIO, most_rows: int | None) -> int:
    table = PlainTable(*reader.schema.names)
    rows = 0
    for batch in reader:
        for row in _rows(batch):
            rows += 1
            if most_rows is None or rows <= most_rows:
                table.add_row(*("" if value is None else _plain(value) for value in row))
    # A file or a pipe is as wide as its rows are.
    wide = None if text.isatty() else 1_000
    console = plain_console(file=text, width=wide)
    console.print(table)
    if most_rows is not None and rows > most_rows:
        console.print(f"{most_rows} of {rows} rows; --rows 0 shows all")
    return rows


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Yield rows as Python values, times as ISO text in their full precision."""
    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type):
            columns.append(column.cast(pa.string()).to_pylist())
        else:
            columns.append(column.to_pylist())
    return zip(*columns, strict=True)


def _plain(value: Any) -> str:
    if isinstance(value, list | dict):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)
