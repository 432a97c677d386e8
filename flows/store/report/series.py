"""What a report draws of each market: prices, volume, spread and gaps by equal spans of time.

A market's prices come from its candles of 1 min; where it has none, from its bars; else from its
ticks. Spread and gaps come from its ticks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from flows.errors import ArchiveError
from flows.numeric.arrays import Float64, Int64
from flows.numeric.time import NS_PER_S
from flows.store import contract
from flows.store.contract import TABLES
from flows.store.database import connect, one_line
from flows.store.report.usable import USABLE_TICK
from flows.store.selection import Selection, condition
from flows.store.snapshot import Snapshot
from flows.store.summary import LEAST_SLOT_S, Market, measure

MOST_SPANS = 240
"""A page shows no more candles: each keeps some points of width."""

_SPANS_S = tuple(
    minutes * 60 for minutes in (1, 5, 15, 30, 60, 120, 240, 360, 720, 1_440, 4_320, 10_080, 43_200)
)


@dataclass(frozen=True, slots=True)
class MarketSeries:
    """One market, cut into spans of ``span_s``; the arrays have one row for each span with data.

    Attributes
    ----------
    source
        Table that the prices come from.
    slots
        int64: number of the span since the UNIX epoch.
    open, high, low, close
        float64, quote currency.
    volume
        float64, base currency, NaN where no size is known.
    coverage
        float64 in [0, 1]: share of the span's minutes (or of longer intervals) that have a row.
    spread_slots, spread_bps
        Spans with quotes; float64, shape (n, 3): 10th, 50th and 90th percentile of
        1e4 * (ask - bid) / mid.
    gap_slots
        Spans in which ticks are known to be lost.
    facts
        Rows, times, gaps and holes of the source; gaps are the ticks'.
    """

    venue: str
    symbol: str
    source: str
    interval_s: int | None
    span_s: int
    slots: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64
    coverage: Float64
    spread_slots: Int64
    spread_bps: Float64
    gap_slots: Int64
    facts: Market

    @property
    def span_ns(self) -> int:
        """Length of a span in nanoseconds."""
        return self.span_s * NS_PER_S

    @property
    def whole(self) -> float:
        """Share of the minutes (or longer intervals) from first to last row that have one."""
        step_s = max(self.interval_s or 0, LEAST_SLOT_S)
        step_ns = step_s * NS_PER_S
        count = self.facts.last_ns // step_ns - self.facts.first_ns // step_ns + 1
        return 1 - self.facts.empty_s / (count * step_s)

    def holes(self) -> list[tuple[int, int]]:
        """Return the stretches of whole spans without a row, [from_ns, to_ns)."""
        steps = np.flatnonzero(np.diff(self.slots) > 1)
        return [
            (int(self.slots[at] + 1) * self.span_ns, int(self.slots[at + 1]) * self.span_ns)
            for at in steps
        ]


def read_series(snapshot: Snapshot, chosen: Selection) -> list[MarketSeries]:
    """Return every chosen market's series, by venue and symbol; of the ticks, those that count.

    Raises
    ------
    ArchiveError
        A file cannot be read, or no market is chosen.
    """
    with connect(snapshot, (contract.TICKS, contract.CANDLES, contract.BARS)) as connection:
        try:
            return _read(connection, chosen)
        except duckdb.Error as error:
            message = f"the archive {snapshot.name} cannot be read: {one_line(error)}"
            raise ArchiveError(message) from None


def count_unusable(snapshot: Snapshot, chosen: Selection) -> int:
    """Return how many of the chosen ticks the flow refuses, so that no series has them."""
    where, values = condition(TABLES[contract.TICKS], chosen)
    query = f"SELECT count(*) FROM {contract.TICKS} WHERE {where} AND NOT ({USABLE_TICK})"
    with connect(snapshot, (contract.TICKS,)) as connection:
        try:
            (found,) = connection.execute(query, values).fetchall()
        except duckdb.Error as error:
            message = f"the archive {snapshot.name} cannot be read: {one_line(error)}"
            raise ArchiveError(message) from None
    return int(found[0])


def span_of(first_ns: int, last_ns: int, least_s: int = 60) -> int:
    """Return the shortest span, in seconds, that shows a time in at most ``MOST_SPANS``."""
    for span_s in _SPANS_S:
        width_ns = span_s * NS_PER_S
        if span_s >= least_s and last_ns // width_ns - first_ns // width_ns < MOST_SPANS:
            return span_s
    return max(_SPANS_S[-1], least_s)


def _read(connection: duckdb.DuckDBPyConnection, chosen: Selection) -> list[MarketSeries]:
    ticks = _markets(connection, contract.TICKS, chosen)
    sources: dict[tuple[str, str], tuple[str, Market]] = {
        key: (contract.TICKS, market) for key, market in ticks.items()
    }
    for name in (contract.BARS, contract.CANDLES):
        found = _markets(connection, name, chosen)
        sources |= {key: (name, market) for key, market in found.items()}
    spans = {
        key: span_of(market.first_ns, market.last_ns, market.interval_s or 0)
        for key, (_name, market) in sources.items()
    }
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE chosen"
        " (venue VARCHAR, symbol VARCHAR, source VARCHAR, every_s INTEGER, width_ns BIGINT)"
    )
    for key, (name, market) in sources.items():
        connection.execute(
            "INSERT INTO chosen VALUES (?, ?, ?, ?, ?)",
            [*key, name, market.interval_s, spans[key] * NS_PER_S],
        )
    prices: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for name in (contract.TICKS, contract.CANDLES, contract.BARS):
        prices |= _by_market(_prices(connection, name, chosen))
    spreads = _by_market(_spreads(connection, chosen))
    gaps = _by_market(_gaps(connection, chosen))
    return [
        _series(key, *sources[key], spans[key], prices[key], spreads, gaps, ticks)
        for key in sorted(sources)
    ]


def _markets(
    connection: duckdb.DuckDBPyConnection, name: str, chosen: Selection
) -> dict[tuple[str, str], Market]:
    """Return a table's markets; of candles those of 1 min, of bars those of the most rows."""
    where, values = _rows_of(name, chosen)
    if name == contract.CANDLES:
        where += " AND interval_s = 60"
    markets, _holes = measure(connection, TABLES[name], where, values)
    kept: dict[tuple[str, str], Market] = {}
    for market in sorted(markets, key=lambda each: each.rows):
        kept[market.venue, market.symbol] = market
    return kept


def _rows_of(name: str, chosen: Selection) -> tuple[str, list[object]]:
    """Return the condition on a table's rows; of the ticks, those that the flow takes."""
    where, values = condition(TABLES[name], chosen)
    return (f"{where} AND {USABLE_TICK}" if name == contract.TICKS else where), values


def _prices(
    connection: duckdb.DuckDBPyConnection, name: str, chosen: Selection
) -> Iterable[Sequence[Any]]:
    table = TABLES[name]
    where, values = _rows_of(name, chosen)
    if table.has_intervals:
        first, highest, lowest, last, volume = ("open", "high", "low", "close", "volume")
        same = "AND interval_s = every_s"
    else:
        first, highest, lowest, last, volume = ("price", "price", "price", "price", "size")
        same = ""
    order = ", ".join(dict.fromkeys((table.time, *table.order)))
    step_ns = f"greatest(coalesce(every_s, 0), {LEAST_SLOT_S})::BIGINT * {NS_PER_S}"
    query = f"""
        SELECT venue, symbol, {table.time} // width_ns AS slot,
            first({first} ORDER BY {order}), max({highest}), min({lowest}),
            last({last} ORDER BY {order}), sum({volume}),
            count(DISTINCT {table.time} // ({step_ns})) / (width_ns / ({step_ns}))
        FROM (SELECT * FROM {name} WHERE {where}) AS rows JOIN chosen USING (venue, symbol)
        WHERE chosen.source = '{name}' {same}
        GROUP BY venue, symbol, slot, width_ns, every_s ORDER BY venue, symbol, slot
    """
    return connection.execute(query, values).fetchall()


def _spreads(connection: duckdb.DuckDBPyConnection, chosen: Selection) -> Iterable[Sequence[Any]]:
    where, values = _rows_of(contract.TICKS, chosen)
    query = f"""
        SELECT venue, symbol, ts_event_ns // width_ns AS slot,
            quantile_cont(2e4 * (ask - bid) / (ask + bid), [0.1, 0.5, 0.9])
        FROM (SELECT * FROM {contract.TICKS} WHERE {where}) JOIN chosen USING (venue, symbol)
        WHERE ask IS NOT NULL AND bid IS NOT NULL
        GROUP BY venue, symbol, slot ORDER BY venue, symbol, slot
    """
    return connection.execute(query, values).fetchall()


def _gaps(connection: duckdb.DuckDBPyConnection, chosen: Selection) -> Iterable[Sequence[Any]]:
    where, values = _rows_of(contract.TICKS, chosen)
    query = f"""
        SELECT DISTINCT venue, symbol, ts_event_ns // width_ns AS slot
        FROM (SELECT * FROM {contract.TICKS} WHERE {where}) JOIN chosen USING (venue, symbol)
        WHERE gap ORDER BY venue, symbol, slot
    """
    return connection.execute(query, values).fetchall()


def _by_market(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, str], list[Sequence[Any]]]:
    found: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for venue, symbol, *rest in rows:
        found[venue, symbol].append(rest)
    return dict(found)


def _series(
    key: tuple[str, str],
    source: str,
    facts: Market,
    span_s: int,
    prices: Sequence[Sequence[Any]],
    spreads: Mapping[tuple[str, str], Sequence[Sequence[Any]]],
    gaps: Mapping[tuple[str, str], Sequence[Sequence[Any]]],
    ticks: Mapping[tuple[str, str], Market],
) -> MarketSeries:
    columns = np.array(
        [[np.nan if value is None else value for value in row[1:]] for row in prices], np.float64
    ).T
    spread = spreads.get(key, [])
    return MarketSeries(
        *key,
        source=source,
        interval_s=facts.interval_s,
        span_s=span_s,
        slots=np.array([row[0] for row in prices], np.int64),
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=columns[4],
        coverage=np.minimum(columns[5], 1.0),
        spread_slots=np.array([row[0] for row in spread], np.int64),
        spread_bps=np.array([row[1] for row in spread], np.float64).reshape(-1, 3),
        gap_slots=np.array([row[0] for row in gaps.get(key, [])], np.int64),
        facts=_with_gaps(facts, ticks.get(key)),
    )


def _with_gaps(facts: Market, ticks: Market | None) -> Market:
    """Return the source's facts with the gaps of the market's ticks, where it has ticks."""
    if ticks is None:
        return facts
    return Market(
        facts.venue,
        facts.symbol,
        facts.rows,
        facts.first_ns,
        facts.last_ns,
        facts.holes,
        facts.empty_s,
        facts.longest_hole_s,
        ticks.gaps,
        facts.interval_s,
    )
