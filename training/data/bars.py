"""OHLCV bars: reading them, and lagged features of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flows.errors import TrainingError
from flows.numeric.arrays import Float64, Int64
from flows.numeric.time import NS_PER_S

LAGS = (0, 1, 2, 3, 4, 9)
WINDOWS = (5, 15, 60)
_TIMES = ("ts_open_ns", "timestamp", "open_time", "time", "date", "datetime")
_NEEDED = ("open", "high", "low", "close")


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


def read_bars(path: Path) -> Bars:
    """Read CSV (also gzipped) or Parquet, one file or a folder of them.

    Raises
    ------
    TrainingError
        A column is missing, a price unusable, or there are too few bars.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    known = [file for file in files if file.name.endswith((".csv", ".csv.gz", ".parquet"))]
    if not known:
        msg = f"{path} holds no bars: CSV (.csv, .csv.gz) or Parquet (.parquet) is read"
        raise TrainingError(msg)
    try:
        frames = [
            pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
            for file in known
        ]
    except (OSError, ValueError) as error:
        msg = f"cannot read bars from {path}: {error}"
        raise TrainingError(msg) from None
    return bars_of(path.name, pd.concat(frames, ignore_index=True))


def bars_of(name: str, frame: pd.DataFrame) -> Bars:
    """Return checked bars of a table; see :func:`read_bars`."""
    frame = frame.rename(columns=lambda column: str(column).strip().lower())
    time = next((column for column in _TIMES if column in frame.columns), None)
    missing = [column for column in _NEEDED if column not in frame.columns]
    if time is None or missing:
        wanted = ", ".join(missing) or f"a time, one of {', '.join(_TIMES)}"
        msg = f"{name} holds no bars: missing {wanted}"
        raise TrainingError(msg)
    ts_ns = _nanoseconds(name, frame[time])
    order = np.unique(ts_ns, return_index=True)[1]
    if len(order) < 2:
        msg = f"too few bars in {name}: {len(order)}"
        raise TrainingError(msg)
    columns = {
        column: pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)[order]
        for column in _NEEDED
    }
    bad = ~np.all([np.isfinite(values) & (values > 0) for values in columns.values()], axis=0)
    bad |= columns["high"] < columns["low"]
    if bad.any():
        msg = f"{name}: {int(bad.sum())} bars have no positive finite prices, or high below low"
        raise TrainingError(msg)
    volume = (
        pd.to_numeric(frame["volume"], errors="coerce").to_numpy(np.float64)[order]
        if "volume" in frame.columns
        else np.full(len(order), np.nan)
    )
    times = ts_ns[order]
    interval_s = max(1, int(np.median(np.diff(times)) // NS_PER_S))
    return Bars(name, times, volume=volume, interval_s=interval_s, **columns)


def bar_features(bars: Bars) -> tuple[Float64, tuple[str, ...]]:
    """Return float64, shape (n, k), and names; only the bar itself and earlier ones are used.

    Log returns at some lags, the bar's range, body and position of its close, volatility over some
    windows, volume against its window's mean, time of day. NaN where a lag, a window or the volume
    is unknown, or reaches across a hole.
    """
    returns = np.log(bars.close / np.concatenate([[np.nan], bars.close[:-1]]))
    whole = np.diff(bars.ts_ns, prepend=bars.ts_ns[0] - 1) <= bars.interval_s * NS_PER_S
    returns[~whole] = np.nan
    series = pd.Series(returns)
    volume = pd.Series(bars.volume)
    columns: dict[str, Float64] = {}
    for lag in LAGS:
        columns[f"return_lag_{lag}"] = series.shift(lag).to_numpy(np.float64)
    columns["range"] = np.log(bars.high / bars.low)
    columns["body"] = np.log(bars.close / bars.open)
    height = bars.high - bars.low
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["close_position"] = np.where(height > 0, (bars.close - bars.low) / height, np.nan)
    for window in WINDOWS:
        mean = volume.rolling(window).mean()
        columns[f"return_{window}"] = series.rolling(window).sum().to_numpy(np.float64)
        columns[f"volatility_{window}"] = series.rolling(window).std().to_numpy(np.float64)
        columns[f"volume_ratio_{window}"] = (volume / mean.where(mean > 0)).to_numpy(np.float64)
    day = 2 * np.pi * ((bars.ts_ns // NS_PER_S) % 86_400) / 86_400
    columns["time_of_day_sin"], columns["time_of_day_cos"] = np.sin(day), np.cos(day)
    return np.stack(list(columns.values()), axis=1), tuple(columns)


def next_returns(bars: Bars) -> Float64:
    """Return log(next close / close), NaN for the last bar and before a hole."""
    following = np.append(bars.close[1:], np.nan)
    steps = np.append(np.diff(bars.ts_ns), np.iinfo(np.int64).max)
    known = steps <= bars.interval_s * NS_PER_S
    return np.where(known, np.log(following / bars.close), np.nan)


def _nanoseconds(name: str, column: "pd.Series[Any]") -> Int64:
    numbers = pd.to_numeric(column, errors="coerce")
    if not numbers.isna().any():
        values = numbers.to_numpy(np.float64)
        digits = float(np.median(np.abs(values)))
        # Seconds, milliseconds, microseconds or nanoseconds since 1970, by magnitude.
        factor = next(
            factor
            for limit, factor in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (np.inf, 1))
            if digits < limit
        )
        exact = numbers.to_numpy(np.int64) if (values == np.floor(values)).all() else None
        return (values * factor).astype(np.int64) if exact is None else exact * factor
    times = pd.to_datetime(column, utc=True, errors="coerce")
    if times.isna().any():
        msg = f"{name}: {int(times.isna().sum())} times of bars cannot be read"
        raise TrainingError(msg)
    return times.to_numpy("datetime64[ns]").astype(np.int64)
