"""Bars in a bucket: as in a folder, by writers that overlap, and read by every command."""

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.bars.bar import Bar
from flows.bars.span import Span
from flows.bars.store import BarStore, Market, Merged
from flows.connectors.parquet.places import local_copy, open_storage
from flows.errors import ArchiveError, FencedError
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE
from flows.store.cli import look
from flows.store.loading import load_bars
from flows.store.snapshot import open_archive
from tests.support import bar_servers
from tests.support.processes import run
from tests.support.rest_server import RestServer
from training.data.bar_files import read_bars

MINUTE = NS_PER_MINUTE
DAY = 20_500 * NS_PER_DAY  # 2026-02-16
MARKET = Market("binance", "BTC-USDT", "1m")
MINUTES = 3_000
LIMIT_S = 170.0
KNOWN = bar_servers.Market(
    {"BTCUSDT": bar_servers.market(1_769_904_000_000, MINUTES, without=(10, 11))}
)


def bars(minutes: Sequence[int], close: float = 2.0) -> list[Bar]:
    return [
        Bar(ts_open_ns=DAY + at * MINUTE, open=2.0, high=3.0, low=1.0, close=close, volume=1.5)
        for at in minutes
    ]


def test_bars_are_merged_counted_and_read_as_in_a_folder(bucket_place: str) -> None:
    store = BarStore(bucket_place)
    assert store.merge(MARKET, bars([2, 0, 1440])) == Merged(3, 0)
    assert store.merge(MARKET, [*bars([0, 1]), *bars([2], close=2.5)]) == Merged(1, 1)
    assert store.merge(MARKET, bars([0, 1])) == Merged(0, 0)
    assert store.read(MARKET, "2026-02-16") == [*bars([0, 1]), *bars([2], close=2.5)]
    assert store.count(MARKET) == 4
    times = store.times(MARKET, Span(DAY + MINUTE, DAY + 1441 * MINUTE))
    assert ((times - DAY) // MINUTE).tolist() == [1, 2, 1440]


def test_a_damaged_object_is_named(bucket_place: str) -> None:
    store = BarStore(bucket_place)
    store.merge(MARKET, bars([0]))
    open_storage(bucket_place).put(MARKET.file("2026-02-16"), b"torn")
    with pytest.raises(ArchiveError, match=r"s3://.*2026-02-16\.parquet cannot be read"):
        store.merge(MARKET, bars([1]))


def test_two_writers_at_once_lose_and_double_nothing(bucket_place: str) -> None:
    new = [0, 0]

    def write(number: int) -> None:
        store = BarStore(bucket_place)
        new[number] = sum(store.merge(MARKET, bars([at, at + 1])).new for at in range(20))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert BarStore(bucket_place).read(MARKET, "2026-02-16") == bars(range(21))
    assert sum(new) == 21


def test_a_day_that_another_writer_replaces_without_end_is_given_up(
    bucket_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> str:
        message = "another process has taken over"
        raise FencedError(message)

    store = BarStore(bucket_place)
    monkeypatch.setattr(store._storage, "swap", refuse)
    with pytest.raises(FencedError):
        store.merge(MARKET, bars([0]))


def test_a_copy_follows_what_is_replaced_and_removed(
    bucket_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store, other = BarStore(bucket_place), Market("yahoo", "^GSPC", "1m")
    store.merge(MARKET, bars([0, 1440]))
    store.merge(other, bars([0]))
    folder = local_copy(bucket_place)
    copy = BarStore(folder)
    assert (copy.count(MARKET), copy.count(other)) == (2, 1)
    untouched = folder / MARKET.file("2026-02-17")
    before = untouched.stat().st_ino
    store.merge(MARKET, bars([0], close=2.5))  # as long as the file before
    open_storage(bucket_place).delete(other.file("2026-02-16"))
    assert local_copy(bucket_place) == folder
    assert copy.read(MARKET, "2026-02-16") == bars([0], close=2.5)
    assert copy.count(other) == 0
    assert untouched.stat().st_ino == before
    (folder / "backfill" / ".versions.json").write_text("torn")
    local_copy(bucket_place)
    assert copy.count(MARKET) == 2


@pytest.mark.slow
@pytest.mark.timeout(3 * LIMIT_S)
def test_a_backfill_into_a_bucket_adds_nothing_twice_and_is_read_by_all(
    bucket_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = {**os.environ, "VOLTICK_ARCHIVE": bucket_place}

    def backfilled() -> dict[str, Any]:
        span = ("--from", "2026-02-01", "--to", "2026-02-03T02:00", "--json")
        market = ("--venue", "binance", "--symbols", "BTC-USDT")
        done = run(["-m", "flows.backfill", *market, *span], tmp_path, settings, LIMIT_S)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    with RestServer(bar_servers.binance(KNOWN)) as server:
        settings["VOLTICK_BINANCE_REST_URL"] = server.url
        first, second = backfilled(), backfilled()
    assert (first["new"], second["new"], second["total"]) == (MINUTES - 2, 0, MINUTES - 2)
    assert len(load_bars(bucket_place)) == MINUTES - 2
    rows = {table.name: table.rows for table in look(open_archive(bucket_place)).tables}
    assert rows["bars"] == MINUTES - 2
    [series] = read_bars([bucket_place])
    assert len(series) == MINUTES - 2
