"""The prior: weights from other days and markets, for models with few data of their own.

The inputs of the logistic regression with fixed weights, in log odds per unit. They are what the
same regression finds on 49 h of a BTC perpetual (2026) and on 48 h of thin ETH spot trading (2021),
averaged and rounded, and the table of the hour is from 31 days of one-minute bars of a BTC
perpetual (2022): ``python -m training.research.fit_prior`` fits them. All inputs are relative to
the symbol's own hour, so the weights hold for other symbols.
"""

from training.estimators.preprocessing import InputColumn, log, soft_log, table

HOUR = "grid_vol_3600"
SOFTNESS = 0.1
MINUTES = 60
_BPS = 1e8

# Log odds of a burst by minute of the hour: programs trade on the hour and on its parts.
# fmt: off
HOUR_TABLE: tuple[float, ...] = (
    0.83, 0.33, 0.28, 0.10, -0.08, 0.39, -0.01, 0.07, -0.03, -0.13, 0.15, 0.02,
    -0.01, -0.22, -0.17, 0.57, 0.04, 0.01, -0.15, -0.15, 0.16, -0.18, -0.23, -0.25,
    -0.13, 0.01, -0.13, -0.11, -0.33, -0.18, 0.75, 0.28, 0.18, 0.03, -0.09, 0.28,
    -0.12, 0.02, -0.17, -0.10, 0.14, 0.05, -0.07, -0.23, -0.32, 0.51, 0.08, 0.01,
    -0.12, -0.15, 0.12, -0.14, -0.24, -0.27, -0.16, -0.05, -0.09, -0.09, -0.35, -0.19,
)
# fmt: on


def _soft(feature: str, window_s: float) -> InputColumn:
    return soft_log(feature, window_s, HOUR, 3600.0, SOFTNESS)


PRIOR_WEIGHTS: tuple[tuple[InputColumn, float], ...] = (
    (_soft("grid_vol_60", 60), 0.30),
    (_soft("grid_vol_300", 300), 0.44),
    (_soft("grid_vol_900", 900), 0.90),
    (_soft("realized_vol_5", 5), 0.13),
    (_soft("realized_vol_30", 30), 0.18),
    (_soft("range_bps_60", 60 * _BPS), 0.19),
    (_soft("range_bps_300", 300 * _BPS), 0.36),
    (log("activity_ratio_60_3600"), 0.10),
    (log("intensity_ratio_5_300"), 0.08),
    (table("hour_position", HOUR_TABLE), 0.77),
)
