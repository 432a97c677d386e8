"""Made-up rows whose spikes can be foreseen a little."""

import numpy as np

from flows.numeric.time import NS_PER_S
from schemas.features import FEATURES, INDEX, NAMES
from training.data.dataset import Dataset

START_NS = 1_700_000_000 * NS_PER_S


def random_values(generator: np.random.Generator, count: int, sigma: float) -> np.ndarray:
    """Return values in each feature's range, float32, shape (count, len(NAMES)).

    Parameters
    ----------
    sigma
        Deviation of the logarithm of what has no upper end.
    """
    values = np.empty((count, len(NAMES)), np.float32)
    for column, feature in enumerate(FEATURES):
        if feature.low == 0.0 and feature.high != 1.0:
            values[:, column] = generator.lognormal(-3, sigma, count)
        elif np.isfinite(feature.high):
            values[:, column] = generator.uniform(feature.low, feature.high, count)
        else:
            values[:, column] = generator.normal(0, 1e-3, count)
    return values


def dataset(hours: float = 12, seed: int = 0, every_s: int = 5, signal: float = 1.0) -> Dataset:
    """Return rows in which the label's quantity follows the last minute, with noise."""
    generator = np.random.default_rng(seed)
    count = int(hours * 3_600 / every_s)
    values = random_values(generator, count, 0.5)
    walk = np.convolve(generator.normal(size=count + 59), np.ones(60) / np.sqrt(60), "valid")
    hour = 1e-3 * np.exp(generator.normal(0, 0.01, count))
    for window in (60, 300, 900):
        noise = generator.normal(0, 0.3, count)
        values[:, INDEX[f"grid_vol_{window}"]] = (
            1e-3 * np.sqrt(window / 3600) * np.exp(0.7 * walk + noise)
        )
    values[:, INDEX["grid_vol_3600"]] = hour
    values[:, INDEX["history_s"]] = 3_600.0
    values[:, INDEX["vol_ratio_60_3600"]] = np.exp(0.7 * walk)
    values[:, INDEX["notional_60"]] = np.nan
    busy = values[:, INDEX["activity_ratio_60_3600"]].astype(np.float64)
    quantity = busy ** (0.8 * signal) * np.exp(
        signal * 0.5 * walk + generator.normal(0, 0.5, count)
    )
    ts_ns = START_NS + np.arange(count, dtype=np.int64) * every_s * NS_PER_S
    return Dataset(
        values=values,
        ts_ns=ts_ns,
        symbol=np.zeros(count, np.int32),
        quantity=quantity,
        symbols=["made-up:BTC-USD"],
        provenance="recorded",
        sources=["made up"],
        ticks=count * 10,
        counters={"gaps": 1},
    )
