"""Bars: read, featured without a look ahead, forecast against persistence."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.errors import LeakError, TrainingError
from flows.scoring.registry import ModelStore
from training import candles

START = 1_700_000_000


def frame(count=1_500, seed=0, reverting=0.0, after=2):
    generator = np.random.default_rng(seed)
    moves = generator.normal(0, 1e-3, count)
    for k in range(after, count):
        moves[k] -= reverting * moves[k - after]
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


def run(tmp_path, table, *more):
    table.to_csv(tmp_path / "bars.csv", index=False)
    arguments = ["--from", str(tmp_path / "bars.csv"), "--store", str(tmp_path / "store"), *more]
    return CliRunner().invoke(candles.app, arguments, catch_exceptions=False)


def test_a_pattern_beats_the_baselines_and_is_published(tmp_path):
    result = run(tmp_path, frame(6_000, reverting=0.5), "--publish", "--models", "ridge,gbt")
    line = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 0
    assert line["champion"]
    assert line["lift"] > 1.05
    assert line["variants"]["ridge"]["mae"] < line["variants"]["persistence"]["mae"]
    assert next(iter(line["importances"])) == "return_lag_1"
    store = ModelStore(tmp_path / "store")
    manifest, _ = store.read(store.aliases("next_close").champion)
    assert manifest.feature_set == 0
    assert "report.html" in store.files(manifest.ref)


def test_what_an_autoregression_knows_makes_no_champion(tmp_path):
    """Prices that go half of the last bar's way back: AR(1) is the whole truth about them."""
    table = frame(6_000, reverting=0.5, after=1)
    result = run(tmp_path, table, "--publish", "--models", "ridge")
    line = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == 5
    assert line["best_baseline"] == "ar1"
    assert line["lift"] < 1.01
    rmse = {name: one["rmse"] for name, one in line["variants"].items()}
    assert rmse["persistence"] / rmse["ar1"] > 1.1


def test_too_few_bars_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="too few bars: 198 usable of 200"):
        run(tmp_path, frame(200))


@pytest.mark.parametrize("apart", [20.0, 1.2], ids=["told-by-jumps", "told-by-lift"])
def test_two_price_levels_in_one_series_stop_the_job(apart, tmp_path):
    mixed = frame(6_000)
    mixed.loc[1::2, ["open", "high", "low", "close"]] /= apart
    with pytest.raises(LeakError, match="two markets or two price levels in one series"):
        run(tmp_path, mixed, "--models", "ridge")
