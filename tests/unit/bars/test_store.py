import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.bars.bar import Bar
from flows.bars.span import Span
from flows.bars.store import SCHEMA, BarStore, Market, Merged
from flows.errors import ArchiveError
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE
from tests.support.docs import ROOT

MINUTE = NS_PER_MINUTE
DAY = 20_500 * NS_PER_DAY  # 2026-02-16
MARKET = Market("binance", "BTC-USDT", "1m")
FOLDER = "backfill/venue=binance/symbol=BTC-USDT/interval=1m"


def bar(minute: int, close: float = 2.0, volume: float | None = 1.5) -> Bar:
    return Bar(
        ts_open_ns=DAY + minute * MINUTE, open=2.0, high=3.0, low=1.0, close=close, volume=volume
    )


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "archive")


def test_bars_are_stored_once_in_one_file_a_day(store: BarStore, tmp_path: Path) -> None:
    assert store.merge(MARKET, [bar(2), bar(0), bar(1440)]) == Merged(3, 0)
    assert store.merge(MARKET, [bar(0), bar(1), bar(2)]) == Merged(1, 0)
    folder = tmp_path / "archive" / FOLDER
    assert sorted(each.name for each in folder.glob("*.parquet")) == [
        "2026-02-16.parquet",
        "2026-02-17.parquet",
    ]
    assert store.read(MARKET, "2026-02-16") == [bar(0), bar(1), bar(2)]
    assert store.count(MARKET) == 4


def test_a_file_has_the_columns_of_a_candle_and_null_where_nothing_is_known(
    store: BarStore, tmp_path: Path
) -> None:
    store.merge(MARKET, [bar(0, volume=None)])
    file = tmp_path / "archive" / FOLDER / "2026-02-16.parquet"
    table = pq.ParquetFile(file).read()
    assert table.schema.equals(SCHEMA)
    [row] = table.to_pylist()
    assert row["venue"] == "binance"
    assert row["symbol"] == "BTC-USDT"
    assert row["interval_s"] == 60
    assert row["ts_open_ns"] == DAY
    assert [name for name, value in row.items() if value is None] == [
        "volume",
        "quote_volume",
        "trade_count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ]


def test_a_bar_that_the_venue_has_changed_takes_the_place_of_the_old_one(store: BarStore) -> None:
    store.merge(MARKET, [bar(0), bar(1)])
    assert store.merge(MARKET, [bar(0), bar(1, close=2.5)]) == Merged(0, 1)
    assert store.read(MARKET, "2026-02-16") == [bar(0), bar(1, close=2.5)]


def test_nothing_is_written_where_nothing_changes(store: BarStore, tmp_path: Path) -> None:
    store.merge(MARKET, [bar(0)])
    file = tmp_path / "archive" / FOLDER / "2026-02-16.parquet"
    inode = file.stat().st_ino
    assert store.merge(MARKET, [bar(0)]) == Merged(0, 0)
    assert store.merge(MARKET, []) == Merged(0, 0)
    assert file.stat().st_ino == inode


def test_times_of_a_span_rise(store: BarStore) -> None:
    store.merge(MARKET, [bar(1441), bar(3), bar(5), bar(1440)])
    times = store.times(MARKET, Span(DAY + 4 * MINUTE, DAY + 1441 * MINUTE))
    assert times.dtype == np.int64
    assert ((times - DAY) // MINUTE).tolist() == [5, 1440]
    assert store.times(Market("yahoo", "X", "1m"), Span(DAY, DAY + MINUTE)).tolist() == []
    assert store.count(Market("yahoo", "X", "1m")) == 0


def test_symbols_are_safe_as_names(store: BarStore, tmp_path: Path) -> None:
    store.merge(Market("yahoo", "../^GSPC=", "1m"), [bar(0)])
    found = [each.relative_to(tmp_path / "archive") for each in tmp_path.rglob("*.parquet")]
    assert [str(each.parent) for each in found] == [
        "backfill/venue=yahoo/symbol=..%2F%5EGSPC%3D/interval=1m"
    ]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"nothing"], ids=["empty", "torn", "foreign"])
def test_a_damaged_file_is_named(store: BarStore, tmp_path: Path, content: bytes) -> None:
    store.merge(MARKET, [bar(0)])
    (tmp_path / "archive" / FOLDER / "2026-02-16.parquet").write_bytes(content)
    for use in (
        lambda: store.merge(MARKET, [bar(1)]),
        lambda: store.times(MARKET, Span(DAY, DAY + MINUTE)),
        lambda: store.count(MARKET),
    ):
        with pytest.raises(ArchiveError, match=r"2026-02-16\.parquet cannot be read"):
            use()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot be written"):
        BarStore(tmp_path / "file").merge(MARKET, [bar(0)])


def test_what_a_kill_left_beside_a_file_is_no_bar_and_no_hindrance(
    store: BarStore, tmp_path: Path
) -> None:
    store.merge(MARKET, [bar(0)])
    (tmp_path / "archive" / FOLDER / ".2026-02-16.parquet.tmp").write_bytes(b"half")
    assert store.count(MARKET) == 1
    assert store.merge(MARKET, [bar(1)]) == Merged(1, 0)
    assert [each.name for each in (tmp_path / "archive" / FOLDER).glob(".*")] == [".lock"]


WRITER = """
import sys
from pathlib import Path
from tests.unit.bars.test_store import MARKET, bar
from flows.bars.store import BarStore
store = BarStore(Path(sys.argv[1]))
print(sum(store.merge(MARKET, [bar(at), bar(at + 1)]).new for at in range(0, 40)))
"""


def test_two_processes_at_once_lose_and_double_nothing(store: BarStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "archive")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    assert store.read(MARKET, "2026-02-16") == [bar(at) for at in range(41)]
    assert sum(told) == 41
