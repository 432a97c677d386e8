"""Rows, times, gaps and holes of a summary against plain loops over the messages."""

from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.numeric.time import NS_PER_S
from flows.store.contract import TABLES
from flows.store.database import connect
from flows.store.snapshot import open_archive, take_snapshot
from flows.store.summary import StoreSummary, measure, summarize
from schemas import topics
from schemas.ticks import EARLIEST_NS
from tests.support.archives import archive
from tests.unit.store import market

MINUTE_NS = 60 * NS_PER_S


def summary_of(folder: Path, seen: dict[str, int] | None = None) -> StoreSummary:
    return summarize(take_snapshot(open_archive(folder)), seen)


def test_markets_are_counted_as_a_loop_counts_them(folder: Path) -> None:
    expected: dict[tuple[str, str], list] = defaultdict(list)
    for *_, tick in market.messages(topics.TICKS_RAW):
        expected[tick.venue, tick.symbol].append(tick)
    ticks = next(each for each in summary_of(folder).tables if each.name == "ticks_raw")
    assert {(each.venue, each.symbol) for each in ticks.markets} == set(expected)
    for found in ticks.markets:
        some = expected[found.venue, found.symbol]
        assert found.rows == len(some)
        assert found.first_ns == min(each.ts_event_ns for each in some)
        assert found.last_ns == max(each.ts_event_ns for each in some)
        assert found.gaps == sum(each.gap for each in some)
    assert ticks.rows == sum(map(len, expected.values()))
    assert ticks.bytes == sum(path.stat().st_size for path in folder.glob("topic=ticks.raw/*/*/*"))


def holes_of(minutes: list[int]) -> list[tuple[int, int]]:
    """Return [from, to) of the minutes that are missing, found minute by minute."""
    found: list[tuple[int, int]] = []
    for minute in range(min(minutes), max(minutes)):
        if minute not in minutes:
            if found and found[-1][1] == minute:
                found[-1] = (found[-1][0], minute + 1)
            else:
                found.append((minute, minute + 1))
    return found


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_holes_are_the_minutes_without_a_row(minutes: list[int]) -> None:
    base = EARLIEST_NS // MINUTE_NS
    times = [(base + minute) * MINUTE_NS + minute for minute in minutes]
    rows = pa.table(
        {"venue": ["v"] * len(times), "symbol": ["s"] * len(times), "ts_event_ns": times}
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("rows", rows)
        connection.execute("CREATE VIEW ticks_raw AS SELECT *, false AS gap FROM rows")
        (found,), holes = measure(connection, TABLES["ticks_raw"])
    expected = holes_of(minutes)
    assert [(hole.from_ns, hole.to_ns) for hole in holes] == [
        ((base + first) * MINUTE_NS, (base + end) * MINUTE_NS) for first, end in expected
    ]
    assert found.holes == len(expected)
    assert found.empty_s == 60 * sum(end - first for first, end in expected)
    assert found.longest_hole_s == 60 * max((end - first for first, end in expected), default=0)


def test_times_of_a_foreign_message_hide_no_market() -> None:
    times = [-(2**63), 0, 2**63 - 1]
    rows = pa.table({"venue": ["v"] * 3, "symbol": ["s"] * 3, "ts_event_ns": times})
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("rows", rows)
        connection.execute("CREATE VIEW ticks_raw AS SELECT *, false AS gap FROM rows")
        (found,), holes = measure(connection, TABLES["ticks_raw"])
    assert (found.rows, found.first_ns, found.last_ns) == (3, times[0], times[2])
    assert found.holes == len(holes) == 2
    assert sum(hole.to_ns - hole.from_ns for hole in holes) == found.empty_s * NS_PER_S


def test_candles_are_told_apart_by_interval(folder: Path) -> None:
    candles = next(each for each in summary_of(folder).tables if each.name == "candles")
    assert {each.interval_s for each in candles.markets} == {1, 60}


def test_new_rows_are_those_since_the_last_call(tmp_path: Path) -> None:
    ticks = [market.tick(number, "BTC-USD") for number in range(20)]
    archive(tmp_path, topics.TICKS_RAW, ticks[:5])

    def new(seen: dict[str, int] | None) -> int | None:
        return summary_of(tmp_path, seen).tables[0].new_rows

    assert new({}) == 5
    archive(tmp_path, topics.TICKS_RAW, ticks[5:])
    assert new({"ticks_raw": 5}) == 15
    assert new(None) is None


def test_where_each_partition_stands_is_told(folder: Path) -> None:
    assert summary_of(folder).positions[topics.TICKS_RAW] == {"0": 300, "1": 300}


@pytest.mark.parametrize("table", TABLES, ids=list(TABLES))
def test_every_table_is_there_with_the_time_in_utc(folder: Path, table: str) -> None:
    with connect(take_snapshot(open_archive(folder))) as connection:
        rows = connection.table(table).project(f"epoch_ns(ts) - {TABLES[table].time}").distinct()
        assert rows.fetchall() in ([], [(0,)])
