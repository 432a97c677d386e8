"""How the kernel's rows are compared: with the oracle within tolerances, with each other by bit."""

import numpy as np

from schemas.features import INDEX, NAMES

# Where terms of either sign cancel, the error is that of the terms and not of the result: it is
# compared with an absolute tolerance in the feature's unit.
CANCELLING = {
    **{f"log_return_{w}": 1e-12 for w in (1, 5, 30, 60, 300)},
    "tick_return_mean_60": 1e-13,
    "jump_share_300": 1e-11,
    "volume_imbalance_60": 1e-12,
    "volume_imbalance_300": 1e-12,
    "vwap_dev_bps_60": 1e-8,
    "imbalance": 1e-13,
    "imbalance_mean_5": 1e-12,
    "imbalance_mean_60": 1e-12,
    "microprice_dev_bps": 1e-9,
    "ofi_share_5": 1e-12,
    "ofi_share_60": 1e-12,
    "time_of_day_sin": 1e-12,
    "time_of_day_cos": 1e-12,
    "range_bps_60": 1e-10,
    "range_bps_300": 1e-10,
}
RELATIVE = 1e-9


def scale_of(name, reference):
    """Return the size of the terms that cancel, where it is no constant; shape (n,)."""
    if name == "tick_return_std_60":
        # A root of a difference: half the digits of the root mean square.
        return 1e-7 * np.nan_to_num(reference[:, INDEX["realized_vol_60"]])
    if name == "signed_notional_60":
        return 1e-11 * np.nan_to_num(reference[:, INDEX["notional_60"]])
    if name == "ofi_60":
        # Sizes of tests are below 1e3 and counts below 1e4.
        return np.full(len(reference), 1e-9)
    if name == "roll_spread_bps_300":
        return np.nan_to_num(reference[:, INDEX["realized_vol_300"]]) * 1e-3 + 1e-9
    return np.full(len(reference), CANCELLING.get(name, 0.0))


def assert_close(values, reference):
    """Compare float64 rows of the kernel with the oracle's, shape (n, F)."""
    assert values.shape == reference.shape
    for column, name in enumerate(NAMES):
        got, want = values[:, column], reference[:, column]
        if name == "roll_spread_bps_300":
            # At a covariance of zero the sign of a rounding error decides between 0 and NaN.
            tiny = scale_of(name, reference)
            unsure = (np.isnan(got) & (want <= tiny)) | (np.isnan(want) & (got <= tiny))
            got, want = np.where(unsure, 0.0, got), np.where(unsure, 0.0, want)
        wrong_mask = np.isnan(got) != np.isnan(want)
        tolerance = RELATIVE * np.abs(want) + scale_of(name, reference)
        wrong = wrong_mask | (np.abs(got - want) > tolerance)
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            message = f"{name}, row {i}: kernel {got[i]!r}, oracle {want[i]!r}; {wrong.sum()} rows"
            raise AssertionError(message)


def assert_same_bits(a, b, start_a=0, start_b=0, count=None):
    """Compare two ``FeatureRows`` from the given rows on, bit for bit."""
    stop_a = None if count is None else start_a + count
    stop_b = None if count is None else start_b + count
    for name in ("values64", "flags", "mid", "ts_effective_ns"):
        x = np.ascontiguousarray(getattr(a, name)[start_a:stop_a])
        y = np.ascontiguousarray(getattr(b, name)[start_b:stop_b])
        assert x.shape == y.shape
        if x.tobytes() != y.tobytes():
            different = x.view(np.uint8).reshape(len(x), -1) != y.view(np.uint8).reshape(len(y), -1)
            row = int(np.flatnonzero(different.any(axis=1))[0])
            names = ""
            if name == "values64":
                bits = x[row].view(np.int64) != y[row].view(np.int64)
                names = str([(NAMES[c], x[row, c], y[row, c]) for c in np.flatnonzero(bits)][:5])
            message = f"{name} differs first at row {row} {names}"
            raise AssertionError(message)
