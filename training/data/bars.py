"""OHLCV bars of one market, and lagged features of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_DAY, NS_PER_S

LAGS = (0, 1, 2, 3, 4, 9)
WINDOWS = (5, 15, 60)


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one market in time order, each column of shape (n,).

    Attributes
    ----------
    ts_ns
        int64: opening time, nanoseconds since the UNIX epoch.
    volume
        float64, NaN where unknown.
    interval_s
        The usual distance of two bars, seconds.
    """

    name: str
    ts_ns: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64
    interval_s: int

    def __len__(self) -> int:
        return len(self.ts_ns)


def usual_interval_s(ts_ns: Int64) -> int:
    """Return the most frequent distance of rising times, seconds, at least 1."""
    steps, counts = np.unique(np.diff(ts_ns), return_counts=True)
    return max(1, int(steps[counts.argmax()]) // NS_PER_S)


def follows(bars: Bars) -> Bool:
    """Return which bars directly follow the one before them, shape (n,); the first does not.

    Half an interval more or less is allowed: bars of a day are 23 or 25 hours long twice a year.
    """
    interval_ns = bars.interval_s * NS_PER_S
    steps = np.diff(bars.ts_ns, prepend=bars.ts_ns[0])
    return np.asarray((2 * steps > interval_ns) & (2 * steps < 3 * interval_ns), np.bool_)


def bar_features(bars: Bars) -> tuple[Float64, tuple[str, ...]]:
    """Return float64, shape (n, k), and names; only the bar itself and earlier ones are used.

    Log returns at some lags, the bar's range, body and position of its close, volatility over some
    windows, volume against its window's mean, time of day. NaN where a lag, a window or the volume
    is unknown, or reaches across a hole.
    """
    whole = follows(bars)
    stretch = np.cumsum(~whole)
    before = np.concatenate([[np.nan], bars.close[:-1]])
    returns = pd.Series(np.where(whole, np.log(bars.close / before), np.nan)).groupby(stretch)
    volumes = pd.Series(bars.volume)
    columns: dict[str, Any] = {}
    for lag in LAGS:
        columns[f"return_lag_{lag}"] = returns.shift(lag).to_numpy(np.float64)
    columns["range"] = np.log(bars.high / bars.low)
    columns["body"] = np.log(bars.close / bars.open)
    height = bars.high - bars.low
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["close_position"] = np.where(height > 0, (bars.close - bars.low) / height, np.nan)
    for window in WINDOWS:
        rolling = returns.rolling(window)
        mean = volumes.groupby(stretch).rolling(window).mean().to_numpy(np.float64)
        columns[f"return_{window}"] = rolling.sum().to_numpy(np.float64)
        columns[f"volatility_{window}"] = rolling.std().to_numpy(np.float64)
        columns[f"volume_ratio_{window}"] = bars.volume / np.where(mean > 0, mean, np.nan)
    day = 2 * np.pi * (bars.ts_ns % NS_PER_DAY // NS_PER_S) / 86_400
    columns["time_of_day_sin"] = np.sin(day)
    columns["time_of_day_cos"] = np.cos(day)
    return np.stack(list(columns.values()), axis=1), tuple(columns)


def next_returns(bars: Bars) -> Float64:
    """Return log(next close / close), NaN for the last bar and before a hole."""
    following = np.append(bars.close[1:], np.nan)
    known = np.append(follows(bars)[1:], False)
    return np.where(known, np.log(following / bars.close), np.nan)
