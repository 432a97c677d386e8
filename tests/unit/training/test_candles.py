"""Bars: read, featured without a look ahead, forecast against persistence."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.errors import TrainingError
from flows.scoring.registry import ModelStore
from training import candles
from training.data.bars import bar_features, bars_of, next_returns, read_bars

START = 1_700_000_000


def frame(count=1_500, seed=0, reverting=0.0):
    generator = np.random.default_rng(seed)
    moves = generator.normal(0, 1e-3, count)
    for k in range(1, count):
        moves[k] -= reverting * moves[k - 1]
    close = 100 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = np.abs(generator.normal(0, 3e-4, (2, count)))
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime((START + 60 * np.arange(count)) * 10**9),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread[0]),
            "low": np.minimum(opened, close) * (1 - spread[1]),
            "close": close,
            "volume": generator.lognormal(0, 1, count),
        }
    )


def test_csv_gzip_and_parquet_hold_the_same_bars(tmp_path):
    table = frame(100)
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        table.to_csv(file, index=False)
    table.to_parquet(tmp_path / "b.parquet")
    one, two = read_bars(tmp_path / "a.csv.gz"), read_bars(tmp_path / "b.parquet")
    np.testing.assert_array_equal(one.ts_ns, two.ts_ns)
    np.testing.assert_allclose(one.close, two.close)
    assert one.interval_s == 60
    assert len(read_bars(tmp_path)) == 100


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_numeric_times_are_read_by_their_magnitude(factor):
    table = frame(10)
    table["timestamp"] = (START + 60 * np.arange(10)) * factor
    assert bars_of("x", table).ts_ns[0] == START * 10**9


def test_later_bars_change_no_earlier_feature():
    table = frame(300)
    before, names = bar_features(bars_of("x", table))
    table.loc[200:, ["open", "high", "low", "close"]] *= 1.5
    after, _ = bar_features(bars_of("x", table))
    np.testing.assert_array_equal(before[:200], after[:200])
    assert len(names) == before.shape[1]


def test_nothing_reaches_across_a_hole():
    table = frame(200).drop(index=range(100, 120)).reset_index(drop=True)
    bars = bars_of("x", table)
    values, names = bar_features(bars)
    assert np.isnan(next_returns(bars)[99])
    assert np.isnan(values[100, names.index("return_lag_0")])
    assert np.isnan(values[103, names.index("return_5")])


def test_bad_bars_are_named():
    with pytest.raises(TrainingError, match="missing close"):
        bars_of("x", frame(10).drop(columns="close"))
    with pytest.raises(TrainingError, match="missing a time"):
        bars_of("x", frame(10).drop(columns="timestamp"))
    table = frame(10)
    table.loc[3, "low"] = -1
    with pytest.raises(TrainingError, match="1 bars have no positive"):
        bars_of("x", table)


def run(tmp_path, table, *more):
    table.to_csv(tmp_path / "bars.csv", index=False)
    arguments = ["--from", str(tmp_path / "bars.csv"), "--store", str(tmp_path / "store"), *more]
    return CliRunner().invoke(candles.app, arguments, catch_exceptions=False)


def test_a_pattern_beats_persistence_and_is_published(tmp_path):
    result = run(tmp_path, frame(6_000, reverting=0.5), "--publish", "--models", "ridge,gbt")
    line = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 0
    assert line["champion"]
    assert line["lift"] > 1.05
    assert line["variants"]["ridge"]["mae"] < line["variants"]["persistence"]["mae"]
    assert next(iter(line["importances"])) == "return_lag_0"
    store = ModelStore(tmp_path / "store")
    manifest, _ = store.read(store.aliases("next_close").champion)
    assert manifest.feature_set == 0
    assert "report.html" in store.files(manifest.ref)


def test_too_few_bars_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="too few bars: 198 usable of 200"):
        run(tmp_path, frame(200))
