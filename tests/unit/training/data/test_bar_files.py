"""Bars come out right from every usual export, and a bad file is named with row and column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.errors import TrainingError
from tests.support.bar_files import (
    BODY,
    HEAD,
    MINUTE,
    NS,
    SECONDS,
    START,
    UTC,
    csv,
    rows,
    with_times,
)
from training.data.bar_files import read_bars


def check(path: Path, count: int = 6, price: float = 100.0, volume: bool = True) -> None:
    """Check that a source holds exactly the bars of :func:`rows`."""
    (bars,) = read_bars([path])
    wanted = rows(count, price=price)
    assert bars.ts_ns.tolist() == (wanted["timestamp"] * NS).tolist()
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(getattr(bars, name), wanted[name], rtol=1e-9)
    if volume:
        np.testing.assert_allclose(bars.volume, wanted["volume"])
    assert bars.interval_s == MINUTE


KLINE = "{time},{body},{end},9,3,1,1,0"
LAYOUTS = {
    "epoch seconds": with_times(list(SECONDS)),
    "epoch milliseconds": with_times([each * 1_000 for each in SECONDS]),
    "epoch microseconds": with_times([each * 10**6 for each in SECONDS]),
    "epoch nanoseconds": with_times([each * NS for each in SECONDS]),
    "seconds with fraction": with_times([f"{each}.0" for each in SECONDS]),
    "units mixed by row": with_times(
        [each * (1, 1_000, 10**6)[k % 3] for k, each in enumerate(SECONDS)]
    ),
    "ISO with Z": with_times([f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in UTC]),
    "ISO with an offset": with_times(
        [f"{each.tz_convert('Asia/Tokyo'):%Y-%m-%dT%H:%M:%S+09:00}" for each in UTC]
    ),
    "ISO without offset": with_times([f"{each:%Y-%m-%d %H:%M:%S.%f}" for each in UTC]),
    "digits of a calendar": with_times([f"{each:%Y%m%d%H%M%S}" for each in UTC]),
    "days of Excel": with_times(
        [f"{25_569 + each / 86_400:.10f}" for each in SECONDS], HEAD.replace("time", "Date")
    ),
    "date and time apart": with_times(
        [f"{each:%Y.%m.%d},{each:%H:%M}" for each in UTC], "Date,Time,Open,High,Low,Close,Volume"
    ),
    "date and 12-hour clock apart": with_times(
        [f"{each:%Y%m%d},{each:%I:%M %p}" for each in UTC], "Date,Time,Open,High,Low,Close,Volume"
    ),
    "date and clock with an offset apart": with_times(
        [f"{each:%b %d %Y},{each:%H:%M:%S}+00:00" for each in UTC],
        "Date,Time,Open,High,Low,Close,Volume",
    ),
    "dashes throughout": with_times([f"{each:%Y-%m-%d-%H-%M-%S}" for each in UTC]),
    "words of a month": with_times([f"{each:%d-%b-%y %H:%M}" for each in UTC]),
    "heads again in other letters": with_times(list(SECONDS)).replace(
        "\n1735689780", f"\n\n{HEAD.title()}\n1735689780"
    ),
    "a minute of zeros": with_times(list(SECONDS)) + f"{SECONDS[-1] + 60},0,0,0,0,0\n",
    "Tardis bars": with_times(
        [
            f"trade_bar,{each:%Y-%m-%dT%H:%M:%SZ},{each + pd.Timedelta(minutes=1):%FT%TZ}"
            for each in UTC
        ],
        "type,openTimestamp,timestamp,open,high,low,close,volume",
    ),
    "zeros behind the end": with_times(list(SECONDS)) + "\0" * 512,
    "two files put behind each other": with_times(list(SECONDS)).replace(
        "\n1735689780", f"\n\ufeff{HEAD}\n1735689780"
    ),
    "Finam": with_times(
        [f"{each:%Y%m%d},{each:%H%M%S}" for each in UTC],
        "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
    ),
    "MetaTrader without header": with_times(
        [f"{each:%Y.%m.%d},{each:%H:%M}" for each in UTC], ""
    ).lstrip("\n"),
    "Binance spot": "\n".join(
        KLINE.format(time=each * 1_000, body=body, end=each * 1_000 + 59_999)
        for each, body in zip(SECONDS, BODY, strict=True)
    ),
    "Binance spot in microseconds": "\n".join(
        KLINE.format(time=each * 10**6, body=body, end=each * 10**6 + 59_999_999)
        for each, body in zip(SECONDS, BODY, strict=True)
    ),
    "Binance futures": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    + "\n".join(
        KLINE.format(time=each * 1_000, body=body, end=each * 1_000 + 59_999)
        for each, body in zip(SECONDS, BODY, strict=True)
    ),
    "Kraken without header": "\n".join(
        f"{each},{body},17" for each, body in zip(SECONDS, BODY, strict=True)
    ),
    "TradingView": with_times(list(SECONDS), "time,open,high,low,close,Volume")
    .replace("Volume", "Volume,Volume MA")
    .replace(".0\n", ".0,\n"),
    "CryptoDataDownload": "https://www.CryptoDataDownload.com\n"
    "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
    + "\n".join(
        f"{each * 1_000},{utc:%Y-%m-%d %H:%M:%S},BTC/USDT,{body},77.0,5"
        for each, utc, body in reversed(list(zip(SECONDS, UTC, BODY, strict=True)))
    )
    + "\n",
    "Kaggle": "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
    + "".join(
        f"{each},{body},9.9,100.0\n{each + 30},NaN,NaN,NaN,NaN,NaN,NaN,NaN\n"
        for each, body in zip(SECONDS, BODY, strict=True)
    ),
    "Yahoo": with_times(
        [f"{each:%Y-%m-%d %H:%M:%S+00:00}" for each in UTC], "Datetime,Open,High,Low,Close,Volume"
    ),
    "Alpha Vantage": with_times(
        [f"{each:%Y-%m-%d %H:%M:%S}" for each in UTC],
        "timestamp,1. open,2. high,3. low,4. close,5. volume",
    ),
    "CoinMarketCap": with_times(
        [f"{each:%Y-%m-%dT%H:%M:%S.000Z},2781,{each:%Y-%m-%dT%H:%M:59.999Z}" for each in UTC],
        "timeOpen,name,timestamp,open,high,low,close,volume",
    ).replace(",", ";"),
    "Polygon": with_times(
        [f"X:BTCUSD,{each * NS}" for each in SECONDS],
        "ticker,window_start,open,high,low,close,volume",
    ),
    "Bybit": with_times(
        [each * 1_000 for each in SECONDS],
        "startTime,openPrice,highPrice,lowPrice,closePrice,volume",
    ),
    "names in capitals, blanks, blank lines": with_times(
        list(SECONDS), "\n\n Timestamp , OPEN,High , LOW,Close, Volume"
    ).replace("\n1735689720", "\n\n1735689720"),
    "semicolons and decimal commas": with_times(list(SECONDS)).replace(",", ";").replace(".", ","),
    "tabs": with_times(list(SECONDS)).replace(",", "\t"),
    "quotes": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(","))
        for line in with_times(list(SECONDS)).splitlines()
    ),
    "carriage returns": with_times(list(SECONDS)).replace("\n", "\r\n"),
    "the last row is cut": with_times(list(SECONDS)) + "1735690000,101.0,10",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_standard_layouts_are_read_as_they_are(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(LAYOUTS[layout], "utf-8")
    check(path, volume=layout != "TradingView")


@pytest.mark.parametrize(
    ("text", "day"), [("%d/%m/%Y %H:%M", 13), ("%m/%d/%Y %H:%M", 13), ("%d.%m.%y %H:%M", 31)]
)
def test_the_day_is_told_from_the_month_by_any_value(text: str, day: int, tmp_path: Path) -> None:
    later = [each.replace(day=day) for each in UTC]
    (tmp_path / "a.csv").write_text(with_times([each.strftime(text) for each in later]))
    (bars,) = read_bars([tmp_path / "a.csv"])
    assert bars.ts_ns.tolist() == [(each + (day - 1) * 86_400) * NS for each in SECONDS]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_of_other_encodings_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(with_times(list(SECONDS)), encoding)
    check(tmp_path / "bars.csv")


@pytest.mark.parametrize(
    "columns",
    [
        {"Price": '"1,002.5"', "close": 1002.5},
        {"Price": "$1 002.50", "close": 1002.5},
        {"Price": "1'002.5", "close": 1002.5},
    ],
    ids=["comma", "blank and currency", "apostrophe"],
)
def test_thousands_may_be_separated(columns: dict[str, object], tmp_path: Path) -> None:
    lines = [
        f'"Jan {k + 1:02}, 2025",{columns["Price"]},"1,000.0","1,010.0",990.0,"{k + 1}.5K"'
        for k in reversed(range(4))
    ]
    (tmp_path / "a.csv").write_text("\n".join(["Date,Price,Open,High,Low,Vol.", *lines]))
    (bars,) = read_bars([tmp_path / "a.csv"])
    assert bars.close.tolist() == [columns["close"]] * 4
    assert bars.volume.tolist() == [1_500.0, 2_500.0, 3_500.0, 4_500.0]
    assert bars.interval_s == 86_400


PARQUET_TIMES = {
    "timestamp[s]": lambda t: t.astype("datetime64[s]"),
    "timestamp[ms]": lambda t: t.astype("datetime64[ms]"),
    "timestamp[us, UTC]": lambda t: t.dt.tz_localize("UTC").astype("datetime64[us, UTC]"),
    "timestamp[ns, Tokyo]": lambda t: t.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "seconds": lambda t: t.astype("datetime64[s]").astype("int64"),
    "milliseconds": lambda t: t.astype("datetime64[ms]").astype("int64"),
    "float seconds": lambda t: t.astype("datetime64[s]").astype("int64").astype(float),
    "text": lambda t: t.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
}


@pytest.mark.parametrize("kind", PARQUET_TIMES)
def test_parquet_times_of_every_type_are_read(kind: str, tmp_path: Path) -> None:
    frame = rows()
    frame["timestamp"] = PARQUET_TIMES[kind](pd.to_datetime(frame["timestamp"], unit="s"))
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    check(tmp_path / "a.parquet")


def test_parquet_dates_and_indexes_hold_times_too(tmp_path: Path) -> None:
    frame = rows()
    dates = pd.date_range("2025-01-01", periods=6, tz="UTC")
    frame["timestamp"] = dates.date
    frame.to_parquet(tmp_path / "dates.parquet", index=False)
    (bars,) = read_bars([tmp_path / "dates.parquet"])
    assert bars.interval_s == 86_400
    frame = rows()
    frame.index = pd.to_datetime(frame.pop("timestamp"), unit="s", utc=True)
    for name in ("Date", None):
        frame.index.name = name
        frame.to_parquet(tmp_path / "index.parquet")
        check(tmp_path / "index.parquet")


def test_an_index_of_equidistant_numbers_holds_times(tmp_path: Path) -> None:
    rows().set_index("timestamp").to_parquet(tmp_path / "range.parquet")
    check(tmp_path / "range.parquet")


@pytest.mark.parametrize(
    "order", [("open", "BTC-USD"), ("BTC-USD", "open")], ids=["kind", "market"]
)
def test_columns_of_kinds_and_markets_are_read(order: tuple[str, str], tmp_path: Path) -> None:
    frame = rows().set_index("timestamp")
    pairs = [(name, "BTC-USD") if order[0] == "open" else ("BTC-USD", name) for name in frame]
    frame.columns = pd.MultiIndex.from_tuples(pairs)
    frame.to_parquet(tmp_path / "a.parquet")
    check(tmp_path / "a.parquet")
    assert read_bars([tmp_path / "a.parquet"])[0].name == "BTCUSD"
    both = pd.concat([frame, frame.rename(columns={"BTC-USD": "ETH-USD"})], axis=1)
    both.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(TrainingError, match=r"side by side \(BTC-USD, ETH-USD\)"):
        read_bars([tmp_path / "a.parquet"])


def test_text_and_parquet_of_overlapping_times_are_one_series(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csv(rows(4)))
    rows(4, 2).to_parquet(tmp_path / "b.parquet", index=False)
    check(tmp_path)


def test_december_in_milliseconds_and_january_in_microseconds_are_one_series(
    tmp_path: Path,
) -> None:
    old, new = rows(3), rows(3, 3)
    old["timestamp"] *= 1_000
    new["timestamp"] *= 10**6
    (tmp_path / "BTCUSDT-1m-2024-12.csv").write_text(csv(old))
    (tmp_path / "BTCUSDT-1m-2025-01.csv").write_text(csv(new))
    check(tmp_path)


def test_stray_files_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(csv(rows()))
    strays = ("README.txt", ".DS_Store", "b.csv.part", "c.csv.crdownload", "~d.tmp", "e.json")
    for name in strays:
        (tmp_path / name).write_text("nothing")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "_SUCCESS").touch()
    check(tmp_path)


def test_an_unfinished_last_bar_gives_way_to_the_whole_one(tmp_path: Path) -> None:
    first, second = rows(4), rows(4, 3)
    first.loc[3, "close"] = first.loc[3, "open"]
    (tmp_path / "a-2.csv").write_text(csv(first))
    (tmp_path / "a-10.csv").write_text(csv(second))
    check(tmp_path, 7)
    (tmp_path / "a-2.csv").rename(tmp_path / "a-11.csv")
    check(tmp_path, 7)


MARKETS = {
    "by the names of files": ("BTCUSDT-1m.csv", "ETHUSDT-1m.csv", ["BTCUSDT", "ETHUSDT"]),
    "by dashes": ("kraken_btc-usd.csv", "kraken_eth-usd.csv", ["BTCUSD", "ETHUSD"]),
    "by folders": ("BTCUSDT/2025-01.csv", "ETHUSDT/2025-01.csv", ["BTCUSDT", "ETHUSDT"]),
}


@pytest.mark.parametrize("case", MARKETS)
def test_markets_of_several_files_are_series_of_their_own(case: str, tmp_path: Path) -> None:
    one, two, names = MARKETS[case]
    for name, price in ((one, 100.0), (two, 5.0)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(csv(rows(price=price)))
    found = read_bars([tmp_path])
    assert [bars.name for bars in found] == names
    assert [bars.close[0] for bars in found] == [100.0, 5.0]


def test_markets_of_one_file_are_series_of_their_own(tmp_path: Path) -> None:
    one, two = rows(), rows(price=5.0)
    one["Symbol"], two["Symbol"] = "BTC/USDT", "ETH/USDT"
    one.loc[3, "Symbol"] = "BTCUSDT"
    (tmp_path / "a.csv").write_text(csv(pd.concat([one, two]).sort_values("timestamp")))
    found = read_bars([tmp_path / "a.csv"])
    assert [bars.name for bars in found] == ["BTCUSDT", "ETHUSDT"]
    assert [len(bars) for bars in found] == [6, 6]


def test_two_markets_that_nothing_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(csv(rows()))
    (tmp_path / "two.csv").write_text(csv(rows(price=5.0)))
    with pytest.raises(TrainingError, match=r"one\.csv, line 2 and two\.csv, line 2 are bars of"):
        read_bars([tmp_path])
    (tmp_path / "one.csv").write_text(csv(rows(40).iloc[::2]))
    (tmp_path / "two.csv").write_text(csv(rows(40, price=5.0).iloc[1::2]))
    with pytest.raises(TrainingError, match=r"bars of one\.csv and two\.csv alternate"):
        read_bars([tmp_path])


def test_three_head_lines_are_read_as_yfinance_writes_them(tmp_path: Path) -> None:
    head = (
        "Price,Close,High,Low,Open,Volume\nTicker" + ",BTC-USD" * 5 + "\nDatetime" + "," * 5 + "\n"
    )
    lines = [
        f"{time:%Y-%m-%d %H:%M:%S+00:00},{100 + k}.0,{101 + k}.0,{99 + k}.0,{99.5 + k},{1 + k}\n"
        for k, time in enumerate(UTC)
    ]
    (tmp_path / "bars.csv").write_text(head + "".join(lines))
    check(tmp_path / "bars.csv")
    assert read_bars([tmp_path / "bars.csv"])[0].name == "BTCUSD"
    (tmp_path / "bars.csv").write_text(head + lines[0] + lines[1].replace("102.0", "x"))
    with pytest.raises(TrainingError, match=r"bars\.csv, line 5: High is 'x', not a number"):
        read_bars([tmp_path / "bars.csv"])
    (tmp_path / "bars.csv").write_text(head.replace("BTC", "ETH", 1) + "".join(lines))
    with pytest.raises(TrainingError, match=r"markets side by side \(BTC-USD, ETH-USD\)"):
        read_bars([tmp_path / "bars.csv"])


def test_a_page_of_the_web_is_named(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("<!DOCTYPE html>\n<p>404")
    message = r"bars\.csv is a page of the web and no table; write the bars"
    with pytest.raises(TrainingError, match=message):
        read_bars([tmp_path / "bars.csv"])


def test_unnamed_files_of_two_markets_one_after_the_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2024.csv").write_text(csv(rows(40)))
    (tmp_path / "2025.csv").write_text(csv(rows(40, first=41, price=5.0)))
    with pytest.raises(
        TrainingError, match=r"from 2024\.csv to 2025\.csv the price goes from 139 to 46; if"
    ):
        read_bars([tmp_path])


def test_a_long_time_between_two_files_may_move_the_price(tmp_path: Path) -> None:
    (tmp_path / "2024.csv").write_text(csv(rows(40)))
    (tmp_path / "2025.csv").write_text(csv(rows(40, first=20_000, price=-19_500)))
    (bars,) = read_bars([tmp_path])
    assert bars.close[[39, 40]].tolist() == [139.0, 500.0]


def test_two_intervals_are_refused(tmp_path: Path) -> None:
    hourly = rows()
    hourly["timestamp"] = START + 3_600 * np.arange(6)
    (tmp_path / "BTCUSDT-1h.csv").write_text(csv(hourly))
    (tmp_path / "BTCUSDT-1m.csv").write_text(csv(rows()))
    with pytest.raises(TrainingError, match=r"BTCUSDT-1h\.csv holds bars of 3600 s, BTCUSDT-1m"):
        read_bars([tmp_path])
