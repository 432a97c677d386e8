"""Rows of several markets in one file are told apart, or refused by name; never one series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.errors import LeakError, TrainingError, VoltickError
from tests.support.bar_files import csv, rows
from training.data.bar_files import read_bars


def wave(price: float, count: int = 120) -> pd.DataFrame:
    """Minute bars that move by a thousandth and open where the last one closed."""
    close = price * np.exp(0.001 * np.sin(np.arange(count)))
    opened = np.append(price, close[:-1])
    bars = rows(count)
    bars["open"], bars["close"] = opened, close
    bars["high"] = np.maximum(opened, close) * 1.0005
    bars["low"] = np.minimum(opened, close) * 0.9995
    return bars


def in_turns(**names: list[str]) -> pd.DataFrame:
    """Rows of two markets whose times alternate, each with its name in some columns."""
    one, two = wave(100.0).iloc[::2], wave(5.0).iloc[1::2]
    one = one.assign(**{column: pair[0] for column, pair in names.items()})
    two = two.assign(**{column: pair[1] for column, pair in names.items()})
    return pd.concat([one, two]).sort_values("timestamp")


def refused(bars: pd.DataFrame, folder: Path, kind: type[VoltickError] = TrainingError) -> str:
    name = "BTCUSDT-1m.csv"
    (folder / name).write_text(csv(bars))
    with pytest.raises(kind) as caught:
        read_bars([folder / name])
    return str(caught.value)


@pytest.mark.parametrize(
    ("column", "pair"),
    [
        ("Asset_ID", ["1", "6"]),
        ("crypto_name", ["Bitcoin", "Ethereum"]),
        ("tradingPair", ["BTC-USD", "ETH-USD"]),
        ("contract", ["BTC-PERP", "ETH-PERP"]),
        ("Name", ["Bitcoin", "Ethereum"]),
    ],
    ids=["number", "name-of-a-coin", "camel-case", "contract", "name"],
)
def test_a_usual_column_of_markets_makes_a_series_of_each(
    column: str, pair: list[str], tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_text(csv(in_turns(**{column: pair})))
    found = read_bars([tmp_path / "train.csv"])
    assert [len(bars) for bars in found] == [60, 60]
    assert sorted(round(bars.close[0]) for bars in found) == [5, 100]


@pytest.mark.parametrize("other", [5.0, 108.0], ids=["far-away", "nearby"])
def test_a_column_of_another_name_that_tells_markets_apart_is_named(
    other: float, tmp_path: Path
) -> None:
    bars = in_turns(what=["x", "y"])
    mine = bars["what"] == "y"
    bars.loc[mine, ["open", "high", "low", "close"]] *= other / 5.0
    said = refused(bars, tmp_path)
    assert said.startswith("BTCUSDT-1m.csv, line 3: what is 'y', and its prices are not those of")
    assert "call the column symbol" in said


def test_two_markets_one_after_the_other_under_such_a_column_are_named(tmp_path: Path) -> None:
    bars = pd.concat(
        [wave(100.0).iloc[:60].assign(what="x"), wave(60.0).iloc[60:].assign(what="y")]
    )
    assert "line 62: what is 'y'" in refused(bars, tmp_path)


def test_jumps_there_and_back_are_two_markets_without_any_column(tmp_path: Path) -> None:
    said = refused(in_turns(), tmp_path, LeakError)
    assert "BTCUSDT-1m.csv, line 3: open is '5.0" in said
    assert "(119 jumps like that). Look for two markets" in said


def test_files_of_two_markets_put_behind_each_other_are_refused(tmp_path: Path) -> None:
    whole = csv(wave(100.0).iloc[:60]) + csv(wave(5.0).iloc[60:])
    (tmp_path / "all.csv").write_text(whole)
    with pytest.raises(LeakError, match=r"all\.csv, line 63: open is .* \(1 jumps like that\)"):
        read_bars([tmp_path / "all.csv"])


def test_words_that_tell_no_markets_apart_change_nothing(tmp_path: Path) -> None:
    bars = wave(100.0)
    bars["colour"] = np.where(bars["close"] > bars["open"], "green", "red")
    bars["session"] = np.where(bars.index < 70, "Asia", "Europe")
    (tmp_path / "a.csv").write_text(csv(bars))
    (found,) = read_bars([tmp_path / "a.csv"])
    assert len(found) == 120


def test_a_thin_market_may_bounce_and_move_across_a_hole(tmp_path: Path) -> None:
    bars = wave(100.0)
    for name in ("open", "high", "low", "close"):
        bars[name] = np.where(bars.index % 2, 100.0, 103.0)  # one trade a bar, at bid or ask
    bars.loc[60:, ["open", "high", "low", "close"]] *= 4.0
    bars.loc[60:, "timestamp"] += 86_400 * 30
    (tmp_path / "a.csv").write_text(csv(bars))
    (found,) = read_bars([tmp_path / "a.csv"])
    assert len(found) == 120


@pytest.mark.parametrize("text", ["12:30 PM", "Nov 28 12:30"], ids=["clock", "no-year"])
def test_a_time_without_a_year_is_no_time(text: str, tmp_path: Path) -> None:
    """A reader of any words would take the present day or year for it."""
    bars = rows().astype({"timestamp": object})
    bars["timestamp"] = text
    assert f"line 2: timestamp is {text!r}, not a time" in refused(bars, tmp_path)
