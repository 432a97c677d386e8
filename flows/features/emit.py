"""Write one row of the feature matrix from the windows' sums and the current tick."""

import math

import numpy as np

from flows.features import layout as at
from flows.numeric.arithmetic import log_ratio, quotient
from flows.numeric.arrays import Float64, Int64
from flows.numeric.compiled import compilable, inlined
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from schemas.features import INDEX

NAN = np.nan
HALF_PI = math.pi / 2.0
MINUTE_NS = float(NS_PER_MINUTE)
QUARTER_NS, HOUR_NS = 15.0 * MINUTE_NS, 60.0 * MINUTE_NS
SECOND_ANGLE = 2.0 * math.pi / 86_400.0

LOG_RETURN_1, LOG_RETURN_5 = INDEX["log_return_1"], INDEX["log_return_5"]
LOG_RETURN_30, LOG_RETURN_60 = INDEX["log_return_30"], INDEX["log_return_60"]
LOG_RETURN_300 = INDEX["log_return_300"]
REALIZED_VOL_5, REALIZED_VOL_30 = INDEX["realized_vol_5"], INDEX["realized_vol_30"]
REALIZED_VOL_60, REALIZED_VOL_300 = INDEX["realized_vol_60"], INDEX["realized_vol_300"]
GRID_VOL_60, GRID_VOL_300 = INDEX["grid_vol_60"], INDEX["grid_vol_300"]
GRID_VOL_900, GRID_VOL_3600 = INDEX["grid_vol_900"], INDEX["grid_vol_3600"]
DOWNSIDE_VOL_300, BIPOWER_VOL_300 = INDEX["downside_vol_300"], INDEX["bipower_vol_300"]
JUMP_SHARE_300 = INDEX["jump_share_300"]
TICK_RETURN_MEAN_60, TICK_RETURN_STD_60 = INDEX["tick_return_mean_60"], INDEX["tick_return_std_60"]
TICK_COUNT_1, TICK_COUNT_60 = INDEX["tick_count_1"], INDEX["tick_count_60"]
TRADE_INTENSITY_5, TRADE_INTENSITY_300 = INDEX["trade_intensity_5"], INDEX["trade_intensity_300"]
INTENSITY_RATIO_5_300 = INDEX["intensity_ratio_5_300"]
NOTIONAL_60, SIGNED_NOTIONAL_60 = INDEX["notional_60"], INDEX["signed_notional_60"]
VOLUME_IMBALANCE_60 = INDEX["volume_imbalance_60"]
VOLUME_IMBALANCE_300 = INDEX["volume_imbalance_300"]
VWAP_DEV_BPS_60 = INDEX["vwap_dev_bps_60"]
RANGE_BPS_60, RANGE_BPS_300 = INDEX["range_bps_60"], INDEX["range_bps_300"]
SPREAD, SPREAD_BPS = INDEX["spread"], INDEX["spread_bps"]
SPREAD_BPS_MEAN_60 = INDEX["spread_bps_mean_60"]
IMBALANCE, IMBALANCE_MEAN_5 = INDEX["imbalance"], INDEX["imbalance_mean_5"]
IMBALANCE_MEAN_60 = INDEX["imbalance_mean_60"]
MICROPRICE_DEV_BPS = INDEX["microprice_dev_bps"]
OFI_60, OFI_SHARE_5, OFI_SHARE_60 = INDEX["ofi_60"], INDEX["ofi_share_5"], INDEX["ofi_share_60"]
AMIHUD_300, ROLL_SPREAD_BPS_300 = INDEX["amihud_300"], INDEX["roll_spread_bps_300"]
VOL_RATIO_5_3600, VOL_RATIO_60_3600 = INDEX["vol_ratio_5_3600"], INDEX["vol_ratio_60_3600"]
VOL_RATIO_300_3600 = INDEX["vol_ratio_300_3600"]
VOL_RATIO_900_3600 = INDEX["vol_ratio_900_3600"]
ACTIVITY_RATIO_60_3600 = INDEX["activity_ratio_60_3600"]
NOTIONAL_RATIO_60_3600 = INDEX["notional_ratio_60_3600"]
SPREAD_RATIO_3600 = INDEX["spread_ratio_3600"]
TIME_OF_DAY_SIN, TIME_OF_DAY_COS = INDEX["time_of_day_sin"], INDEX["time_of_day_cos"]
MINUTE_POSITION = INDEX["minute_position"]
QUARTER_HOUR_POSITION = INDEX["quarter_hour_position"]
HOUR_POSITION = INDEX["hour_position"]
GAP_AGE_S, HISTORY_S = INDEX["gap_age_s"], INDEX["history_s"]


# Factors that depend on history alone.
PER_5, PER_300, RATIO_5_300, RATIO_60_3600 = range(4)
ROOT_5, ROOT_60, ROOT_300, ROOT_900 = range(4, 8)
FACTORS = 8


@compilable
def write_factors(history_s: float, factors: Float64) -> None:
    """Write the factors that scale counts and volatilities, float64, shape (FACTORS,).

    A scale is the seconds that a window really covers, at least 1.
    """
    scale_5 = max(1.0, min(5.0, history_s))
    scale_60 = max(1.0, min(60.0, history_s))
    scale_300 = max(1.0, min(300.0, history_s))
    scale_900 = max(1.0, min(900.0, history_s))
    hour = max(1.0, history_s)
    factors[PER_5] = 1.0 / scale_5
    factors[PER_300] = 1.0 / scale_300
    factors[RATIO_5_300] = scale_300 / scale_5
    factors[RATIO_60_3600] = hour / scale_60
    factors[ROOT_5] = math.sqrt(hour / scale_5)
    factors[ROOT_60] = math.sqrt(hour / scale_60)
    factors[ROOT_300] = math.sqrt(hour / scale_300)
    factors[ROOT_900] = math.sqrt(hour / scale_900)


@inlined
def write_returns(ints: Int64, s: int, fine: Float64, rows: Float64, i: int) -> None:
    """Write the features made from tick returns; volatilities are still squared."""
    if ints[s, at.HEAD] == 1:
        for c in range(LOG_RETURN_1, LOG_RETURN_300 + 1):
            rows[i, c] = NAN
        for c in range(REALIZED_VOL_5, REALIZED_VOL_300 + 1):
            rows[i, c] = NAN
        rows[i, DOWNSIDE_VOL_300] = NAN
        rows[i, TICK_RETURN_MEAN_60] = NAN
        rows[i, TICK_RETURN_STD_60] = NAN
        return
    rows[i, LOG_RETURN_1] = fine[at.S1_R]
    rows[i, LOG_RETURN_5] = fine[at.S5_R]
    rows[i, LOG_RETURN_30] = fine[at.S30_R]
    rows[i, LOG_RETURN_60] = fine[at.S60_R]
    rows[i, LOG_RETURN_300] = fine[at.S300_R]
    rows[i, REALIZED_VOL_5] = fine[at.S5_R2]
    rows[i, REALIZED_VOL_30] = fine[at.S30_R2]
    rows[i, REALIZED_VOL_60] = fine[at.S60_R2]
    rows[i, REALIZED_VOL_300] = fine[at.S300_R2]
    rows[i, DOWNSIDE_VOL_300] = fine[at.S300_DOWN]
    # The tick that started the memory has no return.
    count = ints[s, at.HEAD] - max(ints[s, at.TAIL60], 1)
    mean = quotient(fine[at.S60_R], count)
    rows[i, TICK_RETURN_MEAN_60] = mean
    # Non-negative but for rounding; no return beside the mean leaves 0 / 0.
    spread = max(0.0, fine[at.S60_R2] - mean * fine[at.S60_R])
    rows[i, TICK_RETURN_STD_60] = math.sqrt(spread / (count - 1)) if count > 1 else NAN


@inlined
def write_volatilities(factors: Float64, rows: Float64, i: int) -> None:
    """Take the square roots of the volatilities, which lie side by side, and write their ratios."""
    for c in range(REALIZED_VOL_5, BIPOWER_VOL_300 + 1):
        rows[i, c] = math.sqrt(rows[i, c])
    hour = rows[i, GRID_VOL_3600]
    # NaN, too, is not above zero.
    per_hour = 1.0 / hour if hour > 0.0 else NAN
    rows[i, VOL_RATIO_5_3600] = rows[i, REALIZED_VOL_5] * factors[ROOT_5] * per_hour
    rows[i, VOL_RATIO_60_3600] = rows[i, GRID_VOL_60] * factors[ROOT_60] * per_hour
    rows[i, VOL_RATIO_300_3600] = rows[i, GRID_VOL_300] * factors[ROOT_300] * per_hour
    rows[i, VOL_RATIO_900_3600] = rows[i, GRID_VOL_900] * factors[ROOT_900] * per_hour


@inlined
def write_roll(ints: Int64, s: int, fine: Float64, rows: Float64, i: int) -> None:
    """Write Roll's estimate of the spread from the covariance of successive price returns."""
    head, tail = ints[s, at.HEAD], ints[s, at.TAIL300]
    pairs = head - max(tail, 2)
    rows[i, ROLL_SPREAD_BPS_300] = NAN
    if pairs >= 2:
        mean = fine[at.S300_D] / (head - max(tail, 1))
        covariance = fine[at.S300_DD] / pairs - mean * mean
        if covariance <= 0.0:
            rows[i, ROLL_SPREAD_BPS_300] = 2e4 * math.sqrt(-covariance)


@inlined
def write_trades(
    ints: Int64,
    ticks: Int64,
    s: int,
    fine: Float64,
    factors: Float64,
    mid: float,
    rows: Float64,
    i: int,
) -> None:
    """Write the features made from counts, notional and order flow."""
    head = ints[s, at.HEAD]
    start, mask = ints[s, at.TICK_START], ints[s, at.TICK_MASK]
    count_5, count_300 = head - ints[s, at.TAIL5], head - ints[s, at.TAIL300]
    rows[i, TICK_COUNT_1] = head - ints[s, at.TAIL1]
    rows[i, TICK_COUNT_60] = head - ints[s, at.TAIL60]
    rows[i, TRADE_INTENSITY_5] = count_5 * factors[PER_5]
    rows[i, TRADE_INTENSITY_300] = count_300 * factors[PER_300]
    rows[i, INTENSITY_RATIO_5_300] = count_5 / count_300 * factors[RATIO_5_300]

    j = start + (ints[s, at.TAIL60] & mask)
    counts = ints[s, at.N_SIZED_SIDED] - ticks[j, at.SIZED_SIDED]
    notional, size = fine[at.S60_NOTIONAL], fine[at.S60_SIZE]
    signed, sided = fine[at.S60_SIGNED], fine[at.S60_SIDED]
    rows[i, NOTIONAL_60] = notional if counts & at.LOW_MASK else NAN
    rows[i, SIGNED_NOTIONAL_60] = signed if counts >> 32 else NAN
    rows[i, VOLUME_IMBALANCE_60] = signed / sided if sided > 0.0 else NAN
    rows[i, VWAP_DEV_BPS_60] = 1e4 * (quotient(mid * size, notional) - 1.0)
    signed, sided, notional = fine[at.S300_SIGNED], fine[at.S300_SIDED], fine[at.S300_NOTIONAL]
    rows[i, VOLUME_IMBALANCE_300] = signed / sided if sided > 0.0 else NAN
    defined = notional > 0.0 and head > 1
    rows[i, AMIHUD_300] = 1e6 * fine[at.S300_ABS_R] / notional if defined else NAN

    counts = ints[s, at.N_QUOTED_BOOKED] - ticks[j, at.QUOTED_BOOKED]
    rows[i, SPREAD_BPS_MEAN_60] = quotient(fine[at.S60_SPREAD], counts & at.LOW_MASK)
    rows[i, IMBALANCE_MEAN_60] = quotient(fine[at.S60_IMBALANCE], counts >> 32)
    flow, abs_flow = fine[at.S60_FLOW], fine[at.S60_ABS_FLOW]
    rows[i, OFI_60] = flow if ints[s, at.N_FLOWS] > ticks[j, at.FLOWS] else NAN
    rows[i, OFI_SHARE_60] = quotient(flow, abs_flow)
    rows[i, OFI_SHARE_5] = quotient(fine[at.S5_FLOW], fine[at.S5_ABS_FLOW])
    j = start + (ints[s, at.TAIL5] & mask)
    counts = ints[s, at.N_QUOTED_BOOKED] - ticks[j, at.QUOTED_BOOKED]
    rows[i, IMBALANCE_MEAN_5] = quotient(fine[at.S5_IMBALANCE], counts >> 32)


@inlined
def write_bars(
    ints: Int64,
    floats: Float64,
    s: int,
    factors: Float64,
    spread_bps: float,
    rows: Float64,
    i: int,
) -> None:
    """Write the features made from one-second bars; volatilities are still squared.

    ``CLOSED`` holds the closed bars' part; the open bar's is added.
    """
    c = at.CLOSED
    bar = ints[s, at.BAR]
    g = floats[s, at.BAR_G]
    if bar == 0:
        for k in range(GRID_VOL_60, GRID_VOL_3600 + 1):
            rows[i, k] = NAN
    else:
        g2 = g * g
        rows[i, GRID_VOL_60] = floats[s, c + at.C60_G2] + g2
        rows[i, GRID_VOL_300] = floats[s, c + at.C300_G2] + g2
        rows[i, GRID_VOL_900] = floats[s, c + at.C900_G2] + g2
        rows[i, GRID_VOL_3600] = floats[s, c + at.C3600_G2] + g2
    # The bar that started the memory has no grid return.
    if bar > max(ints[s, at.BTAIL300], 1):
        total = rows[i, GRID_VOL_300]
        bipower = HALF_PI * (floats[s, c + at.C300_GG] + abs(g) * abs(floats[s, at.BEFORE_G]))
        rows[i, BIPOWER_VOL_300] = bipower
        rows[i, JUMP_SHARE_300] = max(0.0, 1.0 - bipower / total) if total > 0.0 else NAN
    else:
        rows[i, BIPOWER_VOL_300] = NAN
        rows[i, JUMP_SHARE_300] = NAN

    high, low = floats[s, at.BAR_HIGH], floats[s, at.BAR_LOW]
    rows[i, RANGE_BPS_60] = 1e4 * log_ratio(
        min(floats[s, c + at.C60_LOW], low), max(floats[s, c + at.C60_HIGH], high)
    )
    rows[i, RANGE_BPS_300] = 1e4 * log_ratio(
        min(floats[s, c + at.C300_LOW], low), max(floats[s, c + at.C300_HIGH], high)
    )

    ratio = factors[RATIO_60_3600]
    ticks = ints[s, at.N_TICKS]
    rows[i, ACTIVITY_RATIO_60_3600] = (
        (ticks - ints[s, at.TICKS_BEFORE60]) / (ticks - ints[s, at.TICKS_BEFORE3600]) * ratio
    )
    counts = ints[s, at.N_SIZED_QUOTED]
    notional = floats[s, c + at.C60_NOTIONAL] + floats[s, at.BAR_NOTIONAL]
    hour = floats[s, c + at.C3600_NOTIONAL] + floats[s, at.BAR_NOTIONAL]
    defined = ((counts - ints[s, at.SIZED_QUOTED_BEFORE60]) & at.LOW_MASK) > 0 and hour > 0.0
    rows[i, NOTIONAL_RATIO_60_3600] = notional / hour * ratio if defined else NAN
    quoted = (counts - ints[s, at.SIZED_QUOTED_BEFORE3600]) >> 32
    spreads = floats[s, c + at.C3600_SPREAD] + floats[s, at.BAR_SPREAD]
    # NaN where the tick has no quote.
    rows[i, SPREAD_RATIO_3600] = spread_bps * quoted / spreads if spreads > 0.0 else NAN


@inlined
def write_clock(t: int, sec: int, sin_sec: float, cos_sec: float, rows: Float64, i: int) -> None:
    """Write the features of the clock; ``sin_sec`` and ``cos_sec`` are those of the whole second.

    The rest of the angle is below 1e-4: three terms of the series are exact to double precision.
    """
    rest_ns = t - sec * NS_PER_S
    rest = SECOND_ANGLE * (rest_ns / NS_PER_S)
    sin_rest = rest - rest * rest * rest / 6.0
    cos_rest = 1.0 - rest * rest / 2.0
    rows[i, TIME_OF_DAY_SIN] = min(1.0, max(-1.0, sin_sec * cos_rest + cos_sec * sin_rest))
    rows[i, TIME_OF_DAY_COS] = min(1.0, max(-1.0, cos_sec * cos_rest - sin_sec * sin_rest))
    rows[i, MINUTE_POSITION] = ((sec % 60) * NS_PER_S + rest_ns) / MINUTE_NS
    rows[i, QUARTER_HOUR_POSITION] = ((sec % 900) * NS_PER_S + rest_ns) / QUARTER_NS
    rows[i, HOUR_POSITION] = ((sec % 3600) * NS_PER_S + rest_ns) / HOUR_NS
