"""Models of the usual kinds to be timed, fitted to random features: only their cost matters."""

from pathlib import Path

import numpy as np
import onnx

from flows.scoring.names import sha256_of, version_of
from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET, FEATURES, NAMES
from schemas.models import ModelManifest, TargetSpec
from training.estimators.export import to_bytes
from training.estimators.recipes import Fitting, recipes

MODELS = ("logreg", "gbt")
ROW_COUNT = 5_000
SEED = 1
SPIKE = TargetSpec(name="volatility_spike", kind="classification", definition="relative", level=2.0)


def random_features(row_count: int) -> np.ndarray:
    """Return plausible values, float32, shape (row_count, len(FEATURES)), some undefined."""
    rng = np.random.default_rng(SEED)
    values = rng.lognormal(-2.0, 1.0, (row_count, len(FEATURES)))
    for column, feature in enumerate(FEATURES):
        if feature.low < 0:
            values[:, column] *= rng.choice((-1, 1), row_count)
        values[:, column] = np.clip(values[:, column], feature.low, feature.high)
        if feature.undefined:
            values[rng.random(row_count) < 0.05, column] = np.nan
    return values.astype(np.float32)


def noisy_events(values: np.ndarray) -> np.ndarray:
    """Return events at some 10 %, float64 0 or 1, shape (n,), that many features hint at.

    An event that one feature decides would make trees of a single split, which cost nothing.
    """
    odds = _hints(values)
    chance = np.random.default_rng(SEED + 1)
    level = np.quantile(odds + chance.logistic(0.0, 1.0, len(odds)), 0.9)
    return (odds + chance.logistic(0.0, 1.0, len(odds)) > level).astype(np.float64)


def noisy_returns(values: np.ndarray) -> np.ndarray:
    """Return log returns, some basis points, float64, shape (n,), that many features hint at."""
    odds = _hints(values)
    return 1e-4 * (odds + np.random.default_rng(SEED + 1).logistic(0.0, 1.0, len(odds)))


def _hints(values: np.ndarray) -> np.ndarray:
    """Return a mix of all features, weighted by chance, float64, shape (n,)."""
    logs = np.log1p(np.abs(np.nan_to_num(values.astype(np.float64), nan=0.0)))
    usual = logs.std(axis=0)
    spread = np.where(usual > 0, usual, 1.0)
    weights = np.random.default_rng(SEED).normal(0.0, 0.4, values.shape[1])
    return ((logs - logs.mean(axis=0)) / spread) @ weights


def publish(kind: str, store: ModelStore) -> str:
    """Fit the kind (one of ``MODELS``) and return its reference in the store."""
    values = random_features(ROW_COUNT)
    model, columns = recipes("classification")[kind].build(NAMES, Fitting(SEED))
    narrow = values[:, [NAMES.index(name) for name in columns]]
    model.fit(narrow, noisy_events(values))
    onnx_bytes = to_bytes(model, len(columns))
    return store.publish(manifest_of(kind, SPIKE, columns, onnx_bytes), onnx_bytes)


def set_champion(kind: str, folder: Path) -> Path:
    """Make the kind champion of a new store and return its folder."""
    store = ModelStore(folder)
    store.move(SPIKE.name, champion=publish(kind, store), by="bench")
    return folder


def manifest_of(
    variant: str, target: TargetSpec, columns: list[str], onnx_bytes: bytes
) -> ModelManifest:
    """Return what a store has to know of a graph."""
    opsets = {each.domain: each.version for each in onnx.load_from_string(onnx_bytes).opset_import}
    return ModelManifest(
        name=f"{target.name}-{variant}",
        version=version_of(0, onnx_bytes),
        variant=variant,
        target=target,
        sha256=sha256_of(onnx_bytes),
        feature_set=FEATURE_SET,
        features=columns,
        provenance="recorded",
        created_ns=0,
        opset=int(opsets[""]),
        threshold=0.5 if target.kind == "classification" else None,
    )
