"""The feature contract: which numbers, in which order, in which unit, and when undefined.

This module holds no arithmetic; ``flows.features`` computes what it defines. A change of order,
meaning or membership is a new ``FEATURE_SET``.

Conventions
-----------
``t`` is the tick's effective event time: the newest time of its symbol so far. A *fine* window of
W seconds holds the ticks with effective time in (t - W, t]; a *coarse* window holds the one-second
bars of the absolute seconds (sec(t) - W, sec(t)], the open one included. ``mid`` is the tick's own
(bid + ask) / 2, or its price where it has no quote. ``r`` is the log return of the mid from one
tick to the next, the first of a window measured from the tick before it; ``g`` the log return of
the mid from one non-empty bar's close to the next (an empty second leaves the 1 s grid unmoved);
``d`` the log return of the trade price from one tick to the next. ``h`` is ``history_s``. Windows
are over what the memory holds: at most 3,600 s, since the symbol's restart. Scales are
``min(W, h)`` seconds, at least 1 s.
"""

import msgspec

FEATURE_SET = 1

MEMORY_S = 3600
WARM_AFTER_S = 300
LATE_LIMIT_S = 60

MAX_SYMBOLS = 10_000
"""A symbol's memory ends once so many others of its partition had a tick since its last one; the
default of ``VOLTICK_MAX_SYMBOLS``."""


class Feature(msgspec.Struct, frozen=True):
    """One column of the feature matrix.

    Attributes
    ----------
    name
        ``<quantity>_<window in seconds>``.
    unit
        ``1`` for a pure number.
    low, high
        The range of every defined value.
    formula
        In the words of the module's conventions.
    undefined
        When the value is NaN; empty where it never is.
    """

    name: str
    unit: str
    low: float
    high: float
    formula: str
    undefined: str = ""


_INF = float("inf")
_NO_PREDECESSOR = "no earlier tick in memory"
_NO_QUOTE = "the tick has no bid or no ask"
_NO_BOOK = "bid, ask or their sizes unknown, or both sizes zero"
_NO_SIZE = "no tick of the window has a size, or all sizes are zero"
_NO_GRID = "no grid return in the window"
_QUIET_HOUR = "the hour's volatility is undefined or zero"

FEATURES: tuple[Feature, ...] = (
    Feature("log_return_1", "1", -_INF, _INF, "sum of r", _NO_PREDECESSOR),
    Feature("log_return_5", "1", -_INF, _INF, "sum of r", _NO_PREDECESSOR),
    Feature("log_return_30", "1", -_INF, _INF, "sum of r", _NO_PREDECESSOR),
    Feature("log_return_60", "1", -_INF, _INF, "sum of r", _NO_PREDECESSOR),
    Feature("log_return_300", "1", -_INF, _INF, "sum of r", _NO_PREDECESSOR),
    Feature("realized_vol_5", "1", 0.0, _INF, "sqrt(sum of r^2)", "no r in the window"),
    Feature("realized_vol_30", "1", 0.0, _INF, "sqrt(sum of r^2)", "no r in the window"),
    Feature("realized_vol_60", "1", 0.0, _INF, "sqrt(sum of r^2)", "no r in the window"),
    Feature("realized_vol_300", "1", 0.0, _INF, "sqrt(sum of r^2)", "no r in the window"),
    Feature("grid_vol_60", "1", 0.0, _INF, "sqrt(sum of g^2)", _NO_GRID),
    Feature("grid_vol_300", "1", 0.0, _INF, "sqrt(sum of g^2)", _NO_GRID),
    Feature("grid_vol_900", "1", 0.0, _INF, "sqrt(sum of g^2)", _NO_GRID),
    Feature("grid_vol_3600", "1", 0.0, _INF, "sqrt(sum of g^2)", _NO_GRID),
    Feature(
        "downside_vol_300", "1", 0.0, _INF, "sqrt(sum of r^2 where r < 0)", "no r in the window"
    ),
    Feature(
        "bipower_vol_300",
        "1",
        0.0,
        _INF,
        "sqrt(pi/2 * sum of |g_k| |g_(k-1)|), both in the window"
        " (Barndorff-Nielsen, Shephard 2004)",
        "fewer than two grid returns in the window",
    ),
    Feature(
        "jump_share_300",
        "1",
        0.0,
        1.0,
        "max(0, 1 - bipower_vol_300^2 / grid_vol_300^2)",
        "bipower_vol_300 undefined or grid_vol_300 zero",
    ),
    Feature("tick_return_mean_60", "1", -_INF, _INF, "mean of r", "no r in the window"),
    Feature(
        "tick_return_std_60",
        "1",
        0.0,
        _INF,
        "standard deviation of r (n - 1)",
        "fewer than two r in the window",
    ),
    Feature("tick_count_1", "ticks", 1.0, _INF, "ticks in the window"),
    Feature("tick_count_60", "ticks", 1.0, _INF, "ticks in the window"),
    Feature("trade_intensity_5", "1/s", 0.0, _INF, "ticks in the window / scale"),
    Feature("trade_intensity_300", "1/s", 0.0, _INF, "ticks in the window / scale"),
    Feature("intensity_ratio_5_300", "1", 0.0, _INF, "trade_intensity_5 / trade_intensity_300"),
    Feature("notional_60", "quote", 0.0, _INF, "sum of price * size", "no tick with a size"),
    Feature(
        "signed_notional_60",
        "quote",
        -_INF,
        _INF,
        "sum of side * price * size, unknown sides left out",
        "no tick with both a size and a side in the window",
    ),
    Feature(
        "volume_imbalance_60",
        "1",
        -1.0,
        1.0,
        "sum of side * price * size / sum of price * size, over ticks with a side",
        "no tick with a side and a positive size in the window",
    ),
    Feature(
        "volume_imbalance_300",
        "1",
        -1.0,
        1.0,
        "sum of side * price * size / sum of price * size, over ticks with a side",
        "no tick with a side and a positive size in the window",
    ),
    Feature(
        "vwap_dev_bps_60",
        "bps",
        -_INF,
        _INF,
        "1e4 * (mid / vwap - 1), vwap = sum of price * size / sum of size",
        _NO_SIZE,
    ),
    Feature("range_bps_60", "bps", 0.0, _INF, "1e4 * log(high / low) of mid over coarse window"),
    Feature("range_bps_300", "bps", 0.0, _INF, "1e4 * log(high / low) of mid over coarse window"),
    Feature("spread", "quote", 0.0, _INF, "ask - bid", _NO_QUOTE),
    Feature("spread_bps", "bps", 0.0, _INF, "1e4 * (ask - bid) / mid", _NO_QUOTE),
    Feature(
        "spread_bps_mean_60", "bps", 0.0, _INF, "mean of spread_bps", "no quoted tick in window"
    ),
    Feature("imbalance", "1", -1.0, 1.0, "(bid_size - ask_size) / (bid_size + ask_size)", _NO_BOOK),
    Feature("imbalance_mean_5", "1", -1.0, 1.0, "mean of imbalance", "none defined in the window"),
    Feature("imbalance_mean_60", "1", -1.0, 1.0, "mean of imbalance", "none defined in the window"),
    Feature(
        "microprice_dev_bps",
        "bps",
        -_INF,
        _INF,
        "1e4 * (microprice / mid - 1), microprice = (bid * ask_size + ask * bid_size) /"
        " (bid_size + ask_size)",
        _NO_BOOK,
    ),
    Feature(
        "ofi_60",
        "base",
        -_INF,
        _INF,
        "sum of e, e = bid_size [bid >= bid'] - bid_size' [bid <= bid'] - ask_size [ask <= ask']"
        " + ask_size' [ask >= ask'], ' the tick before (Cont, Kukanov, Stoikov 2014)",
        "no tick of the window and its predecessor have a whole book",
    ),
    Feature(
        "ofi_share_5", "1", -1.0, 1.0, "sum of e / sum of |e|", "no e in the window, or all zero"
    ),
    Feature(
        "ofi_share_60", "1", -1.0, 1.0, "sum of e / sum of |e|", "no e in the window, or all zero"
    ),
    Feature(
        "amihud_300",
        "1/Mquote",
        0.0,
        _INF,
        "1e6 * sum of |r| / sum of price * size (after Amihud 2002, ratio of sums)",
        _NO_SIZE + ", or no r in the window",
    ),
    Feature(
        "roll_spread_bps_300",
        "bps",
        0.0,
        _INF,
        "1e4 * 2 sqrt(-c), c = mean of d_i d_(i-1) - (mean of d)^2, d_(i-1) of the tick before"
        " (Roll 1984)",
        "fewer than two d d' in the window, or c > 0",
    ),
    Feature(
        "vol_ratio_5_3600",
        "1",
        0.0,
        _INF,
        "(realized_vol_5 / sqrt(scale)) / (grid_vol_3600 / sqrt(scale))",
        _QUIET_HOUR,
    ),
    Feature(
        "vol_ratio_60_3600",
        "1",
        0.0,
        _INF,
        "(grid_vol_60 / sqrt(scale)) / (grid_vol_3600 / sqrt(scale))",
        _QUIET_HOUR,
    ),
    Feature(
        "vol_ratio_300_3600",
        "1",
        0.0,
        _INF,
        "(grid_vol_300 / sqrt(scale)) / (grid_vol_3600 / sqrt(scale))",
        _QUIET_HOUR,
    ),
    Feature(
        "vol_ratio_900_3600",
        "1",
        0.0,
        _INF,
        "(grid_vol_900 / sqrt(scale)) / (grid_vol_3600 / sqrt(scale))",
        _QUIET_HOUR,
    ),
    Feature(
        "activity_ratio_60_3600",
        "1",
        0.0,
        _INF,
        "(ticks in coarse window / scale) / (ticks in coarse window / scale)",
    ),
    Feature(
        "notional_ratio_60_3600",
        "1",
        0.0,
        _INF,
        "(price * size in coarse window / scale) / (price * size in coarse window / scale)",
        "no tick of the short window has a size, or the hour's notional is zero",
    ),
    Feature(
        "spread_ratio_3600",
        "1",
        0.0,
        _INF,
        "spread_bps / mean of spread_bps over coarse window",
        _NO_QUOTE + ", or the hour's mean is zero",
    ),
    Feature("time_of_day_sin", "1", -1.0, 1.0, "sin of the UTC time of day's angle"),
    Feature("time_of_day_cos", "1", -1.0, 1.0, "cos of the UTC time of day's angle"),
    Feature("minute_position", "1", 0.0, 1.0, "share of the absolute minute gone by"),
    Feature("quarter_hour_position", "1", 0.0, 1.0, "share of the absolute quarter hour gone by"),
    Feature("hour_position", "1", 0.0, 1.0, "share of the absolute hour gone by"),
    Feature(
        "gap_age_s", "s", 0.0, 3600.0, "seconds since the last gap in memory, 3600 without one"
    ),
    Feature("history_s", "s", 0.0, 3600.0, "seconds since the symbol's restart, at most 3600"),
)

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
INDEX: dict[str, int] = {name: position for position, name in enumerate(NAMES)}
