"""Bars of a minute as tests write them to files."""

import numpy as np
import pandas as pd

START = 1_735_689_600  # 2025-01-01
NS = 10**9
MINUTE = 60


def rows(count: int = 6, first: int = 0, price: float = 100.0) -> pd.DataFrame:
    """Minute bars whose close is ``price`` plus the number of the bar."""
    number = np.arange(first, first + count)
    close = price + number
    return pd.DataFrame(
        {
            "timestamp": START + MINUTE * number,
            "open": close - 0.5,
            "high": close + 1.0,
            "low": close - 1.0,
            "close": close,
            "volume": 1.0 + number,
        }
    )


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


BODY = [f"{100 + k - 0.5},{100 + k + 1.0},{100 + k - 1.0},{100 + k}.0,{1 + k}.0" for k in range(6)]
SECONDS = [START + MINUTE * k for k in range(6)]
UTC = [pd.Timestamp(each, unit="s", tz="UTC") for each in SECONDS]
HEAD = "time,open,high,low,close,volume"


def with_times(times: list[object], head: str = HEAD) -> str:
    lines = [f"{time},{body}" for time, body in zip(times, BODY, strict=True)]
    return "\n".join([head, *lines]) + "\n"
