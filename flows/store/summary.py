"""What an archive holds: rows, times, markets, gaps, holes, sizes."""

from collections.abc import Mapping, Sequence

import duckdb
import msgspec

from flows.errors import ArchiveError
from flows.numeric.time import NS_PER_S
from flows.store.contract import TABLES, StoreTable
from flows.store.database import connect, one_line
from flows.store.snapshot import Snapshot

LEAST_SLOT_S = 60
"""Time without a row is told in whole minutes, or in whole intervals of longer candles."""

MOST_HOLES = 1_000
"""Of one table; the longest are told."""


class Hole(msgspec.Struct, frozen=True):
    """A time without a row, between two rows of a market: [from_ns, to_ns)."""

    venue: str
    symbol: str
    from_ns: int
    to_ns: int
    interval_s: int | None = None


class Market(msgspec.Struct, frozen=True):
    """One venue's symbol in a table; of candles, with one interval.

    Attributes
    ----------
    first_ns, last_ns
        Times of the oldest and newest row, nanoseconds since the UNIX epoch.
    gaps
        Rows that say that ticks were lost just before them; None where rows do not say it.
    holes
        Times without a row between the first and the last, cut at whole minutes (at whole intervals
        of longer candles).
    empty_s
        All holes together, seconds.
    """

    venue: str
    symbol: str
    rows: int
    first_ns: int
    last_ns: int
    holes: int
    empty_s: int
    longest_hole_s: int
    gaps: int | None = None
    interval_s: int | None = None


class TableSummary(msgspec.Struct, frozen=True):
    """One table of the store.

    Attributes
    ----------
    new_rows
        Rows that were not there at the last call; None where that is not known.
    bytes
        Size of its files.
    unreadable_files
        Files of messages that are none of the topic's.
    """

    name: str
    rows: int
    new_rows: int | None
    files: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    venues: list[str]
    symbols: list[str]
    gaps: int | None
    holes: int
    unreadable_files: int
    markets: list[Market]
    longest_holes: list[Hole]


class StoreSummary(msgspec.Struct, frozen=True):
    """An archive.

    Attributes
    ----------
    positions
        Next offset by topic and partition: everything before it is archived.
    unfinished, foreign
        Files that are not counted: of a run that is being written or was cut short; no files of an
        archive.
    """

    archive: str
    bytes: int
    tables: list[TableSummary]
    positions: dict[str, dict[str, int]]
    unfinished: list[str]
    foreign: list[str]


def summarize(snapshot: Snapshot, seen: Mapping[str, int] | None) -> StoreSummary:
    """Return what a snapshot holds.

    Parameters
    ----------
    seen
        Rows by table at the last call; None where that is not known.

    Raises
    ------
    ArchiveError
        A file cannot be read.
    """
    with connect(snapshot) as connection:
        tables = [_table(connection, table, snapshot, seen) for table in TABLES.values()]
    positions: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(snapshot.positions.items()):
        positions.setdefault(topic, {})[str(partition)] = offset
    return StoreSummary(
        archive=snapshot.name,
        bytes=sum(table.bytes for table in tables),
        tables=tables,
        positions=positions,
        unfinished=snapshot.unfinished,
        foreign=snapshot.foreign,
    )


def _table(
    connection: duckdb.DuckDBPyConnection,
    table: StoreTable,
    snapshot: Snapshot,
    seen: Mapping[str, int] | None,
) -> TableSummary:
    files = snapshot.files[table.name]
    try:
        markets, holes = measure(connection, table)
    except duckdb.Error as error:
        message = f"the archive's {table.name} cannot be read: {one_line(error)}"
        raise ArchiveError(message) from None
    rows = sum(market.rows for market in markets)
    gaps = [market.gaps for market in markets if market.gaps is not None]
    return TableSummary(
        name=table.name,
        rows=rows,
        new_rows=None if seen is None else rows - seen.get(table.name, 0),
        files=len(files),
        bytes=sum(file.bytes for file in files),
        first_ns=min((market.first_ns for market in markets), default=None),
        last_ns=max((market.last_ns for market in markets), default=None),
        venues=sorted({market.venue for market in markets}),
        symbols=sorted({market.symbol for market in markets}),
        gaps=sum(gaps) if table.has_gaps else None,
        holes=sum(market.holes for market in markets),
        unreadable_files=len(snapshot.unreadable.get(table.topic or "", [])),
        markets=markets,
        longest_holes=holes,
    )


def measure(
    connection: duckdb.DuckDBPyConnection,
    table: StoreTable,
    where: str = "true",
    values: Sequence[object] = (),
) -> tuple[list[Market], list[Hole]]:
    """Return a table's markets, and its longest holes in order of market and time.

    Parameters
    ----------
    where, values
        Condition on its rows, and the condition's parameters.
    """
    # Rows are counted by slot first: what has to be sorted is one row a minute, not every tick.
    # A topic may hold any time, so what lies between two may need more than 64 bits.
    interval = "interval_s" if table.has_intervals else "CAST(NULL AS INTEGER)"
    gaps = "count(*) FILTER (gap)" if table.has_gaps else "CAST(NULL AS BIGINT)"
    width = f"greatest(coalesce({interval}, 0), {LEAST_SLOT_S})::BIGINT * {NS_PER_S}"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE slots AS
        WITH counted AS (
            SELECT venue, symbol, {interval} AS interval_s, {width} AS width_ns,
                {table.time} // ({width}) AS slot, count(*) AS rows,
                min({table.time}) AS first_ns, max({table.time}) AS last_ns, {gaps} AS gaps
            FROM {table.name} WHERE {where} GROUP BY ALL
        )
        SELECT *, (slot - lag(slot) OVER (
            PARTITION BY venue, symbol, interval_s ORDER BY slot
        ) - 1)::HUGEINT AS missing
        FROM counted
        """,
        list(values),
    )
    markets = connection.execute(
        f"""
        SELECT venue, symbol, sum(rows)::BIGINT, min(first_ns), max(last_ns),
            count(*) FILTER (missing > 0),
            coalesce(sum(missing * width_ns) // {NS_PER_S}, 0)::BIGINT,
            coalesce(max(missing * width_ns) // {NS_PER_S}, 0)::BIGINT,
            sum(gaps)::BIGINT, interval_s
        FROM slots GROUP BY venue, symbol, interval_s ORDER BY venue, symbol, interval_s
        """
    ).fetchall()
    holes = connection.execute(
        f"""
        SELECT venue, symbol, (slot - missing) * width_ns, slot::HUGEINT * width_ns, interval_s
        FROM slots WHERE missing > 0 ORDER BY missing * width_ns DESC, 1, 2, 3 LIMIT {MOST_HOLES}
        """
    ).fetchall()
    return (
        [Market(*row) for row in markets],
        sorted(
            (Hole(*row) for row in holes), key=lambda hole: (hole.venue, hole.symbol, hole.from_ns)
        ),
    )
