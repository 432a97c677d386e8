"""Bars of an archive: backfilled ones, or its topic's candles, by market and interval."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.bars.bar import Bar
from flows.bars.store import BarStore, Market
from flows.errors import TrainingError
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from tests.support.bar_files import csv, rows
from training.data.bar_files import read_bars

START_NS = 20_500 * NS_PER_DAY - 10 * NS_PER_MINUTE  # midnight lies within


def fill(archive: Path, venue: str, symbol: str, price: float, interval: str = "1m") -> None:
    market = Market(venue, symbol, interval)
    step_ns = market.interval_s * NS_PER_S
    first_ns = START_NS // step_ns * step_ns
    BarStore(archive).merge(
        market,
        [
            Bar(
                ts_open_ns=first_ns + at * step_ns,
                open=price,
                high=price + 2,
                low=price - 1,
                close=price + at / 100,
                volume=None if venue == "yahoo" else 1.0,
            )
            for at in range(30)
        ],
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    fill(tmp_path, "binance", "BTC-USDT", 50_000.0)
    fill(tmp_path, "binance", "ETH-USDT", 3_000.0)
    fill(tmp_path, "coinbase", "BTC-USD", 50_100.0)
    fill(tmp_path, "yahoo", "BTC-USD", 50_200.0)
    # Ticks beside the bars are no bars.
    ticks = tmp_path / "topic=ticks.raw" / "date=2026-02-16" / "symbol=BTC-USD"
    ticks.mkdir(parents=True)
    pq.write_table(pa.table({"price": [1.0]}), ticks / "00000.parquet")
    return tmp_path


@pytest.mark.parametrize(
    "inside", [lambda root: root, lambda root: root / "backfill"], ids=["archive", "its-bars"]
)
def test_each_market_of_each_venue_is_a_series(
    archive: Path, inside: Callable[[Path], Path]
) -> None:
    series = {bars.name: bars for bars in read_bars([inside(archive)])}
    assert sorted(series) == [
        "BTCUSD@coinbase",
        "BTCUSD@yahoo",
        "BTCUSDT@binance",
        "ETHUSDT@binance",
    ]
    bars = series["BTCUSD@coinbase"]
    assert len(bars) == 30
    assert bars.interval_s == 60
    assert bars.ts_ns.tolist() == [START_NS + at * NS_PER_MINUTE for at in range(30)]
    assert bars.close[-1] == 50_100.29
    assert np.isnan(series["BTCUSD@yahoo"].volume).all()


def test_one_interval_of_several_is_chosen(archive: Path) -> None:
    fill(archive, "binance", "BTC-USDT", 50_000.0, "5m")
    with pytest.raises(TrainingError, match="interval"):
        read_bars([archive])
    [bars] = read_bars([archive], 300)
    assert (bars.name, bars.interval_s, len(bars)) == ("BTCUSDT@binance", 300, 30)
    assert len(read_bars([archive], 60)) == 4
    with pytest.raises(TrainingError, match="no bars of 3600 s in"):
        read_bars([archive], 3_600)


def test_intervals_may_have_names_and_be_missing(tmp_path: Path) -> None:
    minutes = rows(10).assign(timeframe="1m")
    hours = rows(10).assign(timeframe="1h", timestamp=lambda bars: 3_600 * bars.index)
    hours["timestamp"] += START_NS // NS_PER_S
    (tmp_path / "a.csv").write_text(csv(pd.concat([minutes, hours])))
    with pytest.raises(TrainingError, match="holds bars of 1m, 1h; choose one by --interval"):
        read_bars([tmp_path])
    [bars] = read_bars([tmp_path], 3_600)
    assert (len(bars), bars.interval_s) == (10, 3_600)
    (tmp_path / "a.csv").write_text(csv(rows(10).assign(interval_s=None)))
    [bars] = read_bars([tmp_path])
    assert bars.interval_s == 60


def test_a_file_of_several_intervals_asks_for_one(tmp_path: Path) -> None:
    seconds = [1] * 60 + [60] * 3
    times = [START_NS + at * NS_PER_S for at in range(60)]
    times += [START_NS + at * NS_PER_MINUTE for at in range(3)]
    columns = {"symbol": ["BTC-USD"] * 63, "ts_open_ns": times, "interval_s": seconds}
    prices = {name: [2.0] * 63 for name in ("open", "high", "low", "close")}
    pq.write_table(pa.table({**columns, **prices}), tmp_path / "candles.parquet")
    with pytest.raises(TrainingError, match="holds bars of 1s, 1m; choose one by --interval"):
        read_bars([tmp_path])
    [bars] = read_bars([tmp_path], 60)
    assert (len(bars), bars.interval_s) == (3, 60)


def test_an_archive_without_bars_and_candles_says_who_makes_them(tmp_path: Path) -> None:
    other = tmp_path / "topic=ticks.raw" / "date=2026-02-01" / "symbol=BTC-USD"
    other.mkdir(parents=True)
    pq.write_table(pa.table({"symbol": ["BTC-USD"], "price": [1.0]}), other / "0-0-0-1.parquet")
    with pytest.raises(TrainingError, match=r"neither bars nor candles: flows\.backfill"):
        read_bars([tmp_path])
