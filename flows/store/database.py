"""DuckDB over a snapshot of an archive: one view a table, nothing else within reach.

The connection reads the snapshot's files and no other: no file, network, extension or variable of
the program, and nothing can be written.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.errors import ArchiveError
from flows.store.contract import TABLES, StoreTable
from flows.store.snapshot import Snapshot, StoredFile

TIME_COLUMN = "ts"
"""Added to every view: the row's time as TIMESTAMP_NS, UTC."""

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
}


@contextmanager
def connect(
    snapshot: Snapshot, tables: Iterable[str] = TABLES, *, spill: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection whose views are the tables of a snapshot.

    Parameters
    ----------
    tables
        Names of those that are wanted.
    spill
        Folder for what does not fit in memory; None: such a query fails.

    Raises
    ------
    ArchiveError
        A file is no Parquet, or its columns contradict the contract: another version wrote it.
    """
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {literal(str(spill or ''))}")
        wanted = [TABLES[name] for name in tables]
        for table in wanted:
            _make_view(connection, table, snapshot.files[table.name])
        paths = [file.url for table in wanted for file in snapshot.files[table.name]]
        connection.execute(f"SET allowed_paths = {_list(paths)}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """Return what DuckDB says, without the picture of the query."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("LINE ", "^"))]
    return " ".join(told)


def sql_type(kind: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type."""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        inside = ", ".join(f'"{each.name}" {sql_type(each.type)}' for each in kind)
        return f"STRUCT({inside})"
    return _SQL_TYPES[kind]


def _make_view(
    connection: duckdb.DuckDBPyConnection, table: StoreTable, files: Sequence[StoredFile]
) -> None:
    if not files:
        columns = _columns(table, {})
        connection.execute(f'CREATE VIEW "{table.name}" AS SELECT {columns} WHERE false')
        return
    source = _source([file.url for file in files])
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        message = f"the archive's {table.name} cannot be read: {one_line(error)}"
        raise ArchiveError(message) from None
    found = {str(name): str(kind) for name, kind, *_rest in described}
    expected = _expected(connection, table)
    for name, kind in expected.items():
        # Fields are only ever added to a message: within one of a list, the contract's are taken.
        if found.get(name, kind) != kind and "STRUCT" not in kind:
            message = (
                f"the archive's {table.name} has {name} as {found[name]}, this version writes"
                f" {kind}: another version wrote a file of it"
            )
            raise ArchiveError(message)
    columns = _columns(table, found)
    connection.execute(f'CREATE VIEW "{table.name}" AS SELECT {columns} FROM {source}')


def _expected(connection: duckdb.DuckDBPyConnection, table: StoreTable) -> dict[str, str]:
    """Return the types of the contract's columns, as DuckDB names them."""
    columns = ", ".join(f"CAST(NULL AS {sql_type(each.type)})" for each in table.schema)
    kinds = [row[1] for row in connection.execute(f"DESCRIBE SELECT {columns}").fetchall()]
    return dict(zip(table.schema.names, kinds, strict=True))


def _source(paths: Sequence[str]) -> str:
    # By name: a file of an older version lacks a column, which reads as null there. The folders'
    # names say nothing that the rows do not say, and the names of very long symbols are cut.
    return f"read_parquet({_list(paths)}, union_by_name = true, hive_partitioning = false)"


def _columns(table: StoreTable, found: dict[str, str]) -> str:
    """Return the view's columns: the contract's, what newer versions have added, the time."""
    made = []
    for field in table.schema:
        value = f'"{field.name}"' if field.name in found else "NULL"
        if field.name not in found or pa.types.is_nested(field.type):
            value = f'CAST({value} AS {sql_type(field.type)}) AS "{field.name}"'
        made.append(value)
    made += [f'"{name}"' for name in found if name not in table.schema.names]
    time = f'"{table.time}"' if table.time in found else "CAST(NULL AS BIGINT)"
    made.append(f"make_timestamp_ns({time}) AS {TIME_COLUMN}")
    return ", ".join(made)


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(literal, texts)) + "]"
