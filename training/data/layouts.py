"""Layouts of bar files: which column is the opening time, which the close, which the market.

Read as they are: the names of common exports in any case (Binance, TradingView, CryptoDataDownload,
Kaggle, Yahoo, Investing.com, MetaTrader, Alpha Vantage, CoinMarketCap, Polygon, Bybit), and rows
without names as files and the REST of Binance, Kraken, Coinbase, Bitfinex and KuCoin deliver them.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from flows.errors import TrainingError
from flows.numeric.arrays import Float64
from training.data.tables import Table

# In order of preference: an epoch says more than a date.
TIMES = (
    *("ts_open_ns", "open_time", "opentime", "timeopen", "kline_open_time", "unix"),
    *("unix_timestamp", "opentimestamp", "window_start", "candle_begin_time"),
    *("unix_time", "epoch", "timestamp", "timestamp_ms", "time_period_start", "period_start"),
    *("bar_time", "open_timestamp", "start_time", "starttime", "start_at", "start", "mts"),
    *("ts_event", "datetime", "date_time", "time"),
    *("gmt_time", "local_time", "utc_time", "time_utc", "timestamp_utc", "date_utc", "date"),
    *("ts", "t", "index", "level_0"),
)
OPENS = ("open", "open_price", "o", "price_open", "openprice", "opening_price")
HIGHS = ("high", "high_price", "h", "price_high", "highprice", "max", "highest")
LOWS = ("low", "low_price", "l", "price_low", "lowprice", "min", "lowest")
CLOSES = (
    "close",
    "close_price",
    "c",
    "price_close",
    "closeprice",
    "closing_price",
    "price",
    "last",
    "close_last",
)
VOLUMES = (
    "volume",
    "vol",
    "v",
    "base_volume",
    "volume_base",
    "base_asset_volume",
    "volume_traded",
    "volumefrom",
)
MARKETS = (
    *("symbol", "ticker", "pair", "market", "product_id", "instrument", "instrument_id", "coin"),
    *("trading_pair", "tradingpair", "currency_pair", "instrument_name", "contract", "security"),
    *("sym", "ric", "isin", "figi", "symbol_id", "market_id", "asset_id", "coin_id", "asset"),
    *("crypto", "crypto_name", "coin_name"),
)
# Of a market, where it is a word.
_NAME = "name"
VENUES = ("venue", "exchange")

_CLOCK = re.compile(
    r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s?[AP]M)?(\s?(Z|UTC|GMT|[+-]\d{2}:?\d{2}))?|\d{1,6}",
    re.IGNORECASE,
)
# The prices behind the time, in the orders that venues use: Coinbase's begins with the low,
# Bitfinex' and KuCoin's ends with it.
_ORDERS = (
    ("open", "high", "low", "close"),
    ("low", "high", "open", "close"),
    ("open", "close", "high", "low"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a table by what they mean, as the table names them.

    Attributes
    ----------
    time
        Opening time, or its date where ``clock`` is set.
    clock
        Time of day; None where ``time`` holds all.
    volume, market, venue
        None where the table has none.
    """

    time: str
    clock: str | None
    open: str
    high: str
    low: str
    close: str
    volume: str | None
    market: str | None
    venue: str | None


def find_layout(table: Table) -> Layout:
    """Return a table's layout.

    Raises
    ------
    TrainingError
        A needed column is missing; it names what is missing and what is there.
    """
    return _named(table) if table.has_header else _by_position(table)


def plain_name(column: str) -> str:
    """Return a column's name in small letters, words joined by one underscore."""
    words = re.sub(r"[^a-z0-9]+", "_", column.strip().lower()).strip("_")
    return re.sub(r"^\d+_(?=[a-z])", "", words)  # Alpha Vantage: "1. open"


def _named(table: Table) -> Layout:
    alike: dict[str, list[str]] = {}
    for column, head in zip(table.frame.columns, table.heads or table.frame.columns, strict=True):
        alike.setdefault(plain_name(head), []).append(column)
    names = {name: columns[0] for name, columns in alike.items()}

    def first(candidates: tuple[str, ...]) -> str | None:
        name = next((each for each in candidates if each in names), None)
        if name is None:
            return None
        _refuse_doubled(table, name, alike[name])
        return names[name]

    needed = {"open": OPENS, "high": HIGHS, "low": LOWS, "close": CLOSES}
    prices = {name: first(candidates) for name, candidates in needed.items()}
    time = first(TIMES)
    missing = [name for name, column in prices.items() if column is None]
    if time is None:
        missing.append("a time (such as timestamp, open_time or date)")
    if missing or time is None:
        there = ", ".join(map(str, table.frame.columns))
        msg = f"{table.file.name} holds no bars: missing {', '.join(missing)}; it has {there}"
        raise TrainingError(msg)
    clock = None
    if plain_name(time) == "time" and "date" in names and _is_clock(table.frame[time]):
        time, clock = names["date"], time
    market = first(MARKETS)
    if market is None and _NAME in names and _are_words(table.frame[names[_NAME]]):
        market = names[_NAME]
    return Layout(
        time=time,
        clock=clock,
        **{name: str(column) for name, column in prices.items()},
        volume=first(VOLUMES) or _named_volume(names, table, market),
        market=market,
        venue=first(VENUES),
    )


def _refuse_doubled(table: Table, name: str, columns: list[str]) -> None:
    """Refuse columns of which a name cannot tell which is meant; equal ones are one.

    Raises
    ------
    TrainingError
        They hold different values.
    """
    one = table.frame[columns[0]]
    if all(one.equals(table.frame[other]) for other in columns[1:]):
        return
    msg = f"{table.file.path} has more than one column {name}; leave one of each name"
    raise TrainingError(msg)


def _named_volume(names: dict[str, str], table: Table, market: str | None) -> str | None:
    """Return the volume in the base currency among ``Volume BTC``, ``Volume USDT``."""
    found = {
        name.removeprefix("volume_"): column
        for name, column in names.items()
        if name.startswith("volume_") and not name.startswith("volume_ma")
    }
    if market is not None and len(table):
        pair = str(table.frame[market].iloc[0]).lower()
        base = next((each for each in found if pair.startswith(each)), None)
        if base is not None:
            return found[base]
    return next(iter(found.values()), None)


def _are_words(values: "pd.Series[str]") -> bool:
    return bool(values.dropna().astype(str).str.contains(r"[^\W\d_]").all())


def _is_clock(values: "pd.Series[str]") -> bool:
    """Whether values are times of day: 09:30, 09:30:00, 9:30 PM, 09:30+00:00 or 093000."""
    some = [str(each).strip() for each in values.dropna().head(50)]
    return bool(some) and all(_CLOCK.fullmatch(each) for each in some)


def _by_position(table: Table) -> Layout:
    columns = [str(each) for each in table.frame.columns]
    clock = None
    rest = columns[1:]
    if (
        len(columns) > 5
        and _is_clock(table.frame[columns[1]].head(50))
        and ":" in str(table.frame[columns[1]].iloc[0])
    ):
        clock, rest = columns[1], columns[2:]
    order = _order(table, rest[:4]) if len(rest) >= 4 else None
    if order is None:
        msg = (
            f"{table.file.name} has no header, and its {len(columns)} columns are not those of"
            " Binance's klines or of time, open, high, low, close, volume; add a header"
        )
        raise TrainingError(msg)
    found = dict(zip(order, rest, strict=False))
    volumes = rest[5:6] if _holds_average(table, rest, found) else rest[4:5]
    return Layout(
        time=columns[0],
        clock=clock,
        open=found["open"],
        high=found["high"],
        low=found["low"],
        close=found["close"],
        volume=next(iter(volumes), None),
        market=None,
        venue=None,
    )


def _order(table: Table, prices: list[str]) -> tuple[str, ...] | None:
    """Return what four columns are, where they can be the prices of bars."""
    rows = _numbers(table, prices)
    known = np.isfinite(rows).all(axis=1)
    for order in _ORDERS:
        opened, high, low, close = (
            rows[:, order.index(name)] for name in ("open", "high", "low", "close")
        )
        with np.errstate(invalid="ignore"):
            right = (high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close))
        if known.any() and right[known].all():
            return order
    return None


def _holds_average(table: Table, rest: list[str], found: dict[str, str]) -> bool:
    """Whether an average price stands before the volume, as in the answers of Kraken's REST.

    It lies within its bar, and is zero where nothing was traded.
    """
    if len(rest) != 7:
        return False
    low, high, average = _numbers(table, [found["low"], found["high"], rest[4]]).T
    with np.errstate(invalid="ignore"):
        within = (average >= low) & (average <= high)
    return bool(within.any() and (within | (average == 0)).all())


def _numbers(table: Table, columns: list[str]) -> Float64:
    """Return the first hundred rows, float64, NaN where a value is no number."""
    some = table.frame[columns].head(100).apply(pd.to_numeric, errors="coerce")
    return np.asarray(some.to_numpy(np.float64), np.float64)
