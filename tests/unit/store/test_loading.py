"""What is loaded equals what was written, filtered by hand."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.errors import ArchiveError, ConfigurationError
from flows.store import (
    as_frame,
    count_candles,
    load_bars,
    load_candles,
    load_features,
    load_outcomes,
    load_predictions,
    load_ticks,
)
from flows.store.contract import TABLES
from schemas import topics
from schemas.features import FEATURE_SET, NAMES
from schemas.ticks import Candle, Tick
from tests.support.archives import archive_bars
from tests.unit.store import market
from tests.unit.store.market import START_NS, STEP_NS, SYMBOLS

DAY_NS = 86_400 * 10**9


def ticks_of(table: pa.Table) -> list[tuple[int, int, Tick]]:
    names = Tick.__struct_fields__
    return [
        (row["log_partition"], row["log_offset"], Tick(**{name: row[name] for name in names}))
        for row in table.to_pylist()
    ]


def test_all_ticks_come_back_as_they_were_in_the_order_of_their_log(folder: Path) -> None:
    assert ticks_of(load_ticks(folder)) == market.messages(topics.TICKS_RAW)


@pytest.mark.parametrize(
    "chosen",
    [
        {"symbols": SYMBOLS[1]},
        {"symbols": ["BTC-USD", "other"], "venues": "two"},
        {"start": START_NS + 10 * STEP_NS + 1},
        {"start": START_NS + 10 * STEP_NS + 2, "end": START_NS + 200 * STEP_NS + 1},
        {"end": START_NS + DAY_NS},
        {"start": 0, "end": 2**70},
        {"symbols": []},
        {"venues": []},
    ],
    ids=[
        "symbol",
        "two filters",
        "from a tick's own time",
        "between",
        "a day",
        "always",
        "none",
        "nowhere",
    ],
)
def test_filters_choose_what_a_loop_chooses(folder: Path, chosen: dict) -> None:
    def wanted(tick: Tick) -> bool:
        def among(value: str, names: object) -> bool:
            return names is None or value in ([names] if isinstance(names, str) else list(names))

        return (
            among(tick.symbol, chosen.get("symbols"))
            and among(tick.venue, chosen.get("venues"))
            and chosen.get("start", 0) <= tick.ts_event_ns < chosen.get("end", 2**63)
        )

    expected = [each for each in market.messages(topics.TICKS_RAW) if wanted(each[2])]
    assert ticks_of(load_ticks(folder, **chosen)) == expected


@pytest.mark.parametrize(
    "start",
    [
        "2024-10-05",
        "2024-10-05T02:00:00+02:00",
        date(2024, 10, 5),
        datetime(2024, 10, 5, tzinfo=UTC),
        START_NS + DAY_NS,
    ],
    ids=["date", "time with an offset", "date object", "time object", "nanoseconds"],
)
def test_a_time_can_be_said_in_many_ways(folder: Path, start: object) -> None:
    loaded = load_ticks(folder, start=start, columns=["ts_event_ns"]).column(0).to_pylist()
    every = [tick.ts_event_ns for *_, tick in market.messages(topics.TICKS_RAW)]
    assert loaded == [ts_ns for ts_ns in every if ts_ns >= START_NS + DAY_NS]


@pytest.mark.parametrize("end", ["9999-12-31", date.max, datetime.max.replace(tzinfo=UTC)])
def test_a_time_that_no_tick_has_stands_for_no_bound(folder: Path, end: object) -> None:
    assert load_ticks(folder, start="0001-01-01", end=end).equals(load_ticks(folder))
    assert len(load_ticks(folder, start=end)) == 0
    assert count_candles(folder, end="0001-01-01") == 0


def test_only_the_wanted_columns_come_in_the_wanted_order(folder: Path) -> None:
    assert load_ticks(folder, columns=["price", "symbol"]).schema.names == ["price", "symbol"]


def test_an_unknown_column_and_an_unreadable_time_are_named(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="no column 'prize'; it has symbol, venue"):
        load_ticks(folder, columns=["prize"])
    with pytest.raises(ConfigurationError, match="'yesterday' is no time"):
        load_ticks(folder, start="yesterday")


@pytest.mark.parametrize(
    "load",
    [load_ticks, load_candles, load_features, load_predictions, load_outcomes, load_bars],
    ids=lambda load: load.__name__,
)
def test_an_empty_result_has_the_columns_and_types_of_a_full_one(load, folder: Path) -> None:
    nothing = load(folder, symbols="other")
    assert len(nothing) == 0
    assert nothing.schema == load(folder).schema
    assert (as_frame(nothing).dtypes == as_frame(load(folder)).dtypes).all()


def test_types_are_the_contracts_and_say_what_can_be_null(folder: Path) -> None:
    assert load_ticks(folder).schema == TABLES["ticks_raw"].schema
    assert not load_ticks(folder).schema.field("price").nullable
    assert load_ticks(folder).schema.field("trade_id").nullable


def test_a_frame_keeps_integers_whole_and_its_types_whatever_the_rows(folder: Path) -> None:
    frame = as_frame(load_ticks(folder))
    expected = [tick.trade_id for *_, tick in market.messages(topics.TICKS_RAW)]
    assert [None if pd.isna(each) else int(each) for each in frame["trade_id"]] == expected
    assert frame["trade_id"].dtype == pd.Int64Dtype()
    assert frame["ts_event_ns"].dtype == np.int64
    assert frame["side"].dtype == np.int8
    assert frame["gap"].dtype == np.bool_
    assert frame["size"].dtype == np.float64
    whole = as_frame(load_ticks(folder, venues="two", end=START_NS + 2 * STEP_NS))
    assert (whole.dtypes == frame.dtypes).all()


def test_candles_are_loaded_and_counted_by_interval(folder: Path) -> None:
    every = [each for *_, each in market.messages(topics.CANDLES)]
    for interval_s in (1, 60, None):
        expected = [each for each in every if interval_s in (None, each.interval_s)]
        loaded = load_candles(folder, interval_s=interval_s)
        rows = loaded.select(Candle.__struct_fields__).to_pylist()
        assert [Candle(**row) for row in rows] == expected
        assert count_candles(folder, interval_s=interval_s) == len(expected)
    assert count_candles(folder, symbols="other") == 0


def test_features_are_columns_bit_for_bit_and_other_sets_are_left_out(folder: Path) -> None:
    loaded = load_features(folder)
    rows = [
        each
        for *_, each in market.messages(topics.TICKS_FEATURES)
        if each.feature_set == FEATURE_SET
    ]
    expected = np.array(
        [[np.nan if value is None else value for value in row.values] for row in rows], np.float32
    )
    found = np.stack([loaded.column(name).to_numpy() for name in NAMES], axis=1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    assert loaded.column("offset").to_pylist() == [row.offset for row in rows]
    assert load_features(folder, columns=[NAMES[3]]).schema.names == [NAMES[3]]


def test_predictions_and_outcomes_have_one_row_for_each_target(folder: Path) -> None:
    loaded = load_predictions(folder, symbols="BTC-USD")
    assert len(loaded) == 60
    assert loaded.column("target").to_pylist()[:2] == ["forward_return", "volatility_spike"]
    spikes = [row for row in loaded.to_pylist() if row["target"] == "volatility_spike"]
    expected = market.MESSAGES[topics.PREDICTIONS][0]
    assert [row["score"] for row in spikes] == [
        each.scores["volatility_spike"].score for each in expected
    ]
    assert spikes[0]["shadow"] == [{"model": "x@1", "score": 0.3}]
    assert as_frame(loaded)["decision"].dtype == pd.BooleanDtype()
    assert set(load_outcomes(folder).column("truth").to_pylist()) == {1.0}


def test_bars_of_the_backfill_are_a_table_by_market_and_time(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "ts_open_ns": [START_NS + number * 60 * 10**9 for number in range(5)],
            **{name: [1.0 + number for number in range(5)] for name in ("open", "high", "low")},
            "close": [2.5] * 5,
            "volume": pa.array([1.0, None, 3.0, 4.0, 5.0]),
        }
    )
    archive_bars(tmp_path, "binance", "A/B", 60, rows)
    archive_bars(tmp_path, "binance", "BTC-USDT", 3_600, rows.slice(0, 1))
    loaded = load_bars(tmp_path, symbols="A/B", venues="binance")
    assert loaded.select(rows.column_names).to_pylist() == rows.to_pylist()
    assert loaded.column("trade_count").null_count == 5
    assert len(load_bars(tmp_path, interval_s=3_600)) == 1
    assert len(load_ticks(tmp_path)) == 0


def test_an_older_file_lacks_a_column_and_a_newer_one_has_another(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "ts_open_ns": [START_NS],
            **{name: [1.0] for name in ("open", "high", "low", "close")},
            "newer": ["x"],
        }
    )
    archive_bars(tmp_path, "yahoo", "SPY", 60, rows)
    assert load_bars(tmp_path).schema == TABLES["bars"].schema
    assert load_bars(tmp_path).column("volume").to_pylist() == [None]


def test_a_column_of_another_type_is_another_version_and_named(tmp_path: Path) -> None:
    rows = pa.table({"ts_open_ns": ["soon"], "open": [1.0]})
    where = tmp_path / "backfill" / "venue=v" / "symbol=s" / "interval=1m"
    where.mkdir(parents=True)
    pq.write_table(rows, where / "2024-10-04.parquet")
    with pytest.raises(ArchiveError, match=r"ts_open_ns as VARCHAR.*another version"):
        load_bars(tmp_path)
