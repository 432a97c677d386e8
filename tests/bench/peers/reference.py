"""The ticks, the model and what the product itself makes of both: what peers are held to."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.numeric.arrays import Float64
from flows.scoring.registry import MODEL_FILE, ModelStore
from schemas import topics
from schemas.features import INDEX
from tests.bench.load import Message, simulated_messages
from tests.bench.models import SPIKE, manifest_of
from tests.bench.peers.work import FEATURES
from training.estimators.export import score_onnx, to_bytes
from training.estimators.fitted import Model
from training.estimators.preprocessing import Preprocessor, raw
from training.estimators.recipes import gbt_classic

# Per symbol, in event time: a minute's window holds some 600 ticks.
RATE_HZ = 10.0
TOLERANCE = 1e-6
VARIANT = "gbt"
_CHUNK = 4_096
_FITTED = 20_000
_COLUMNS = [INDEX[name] for name in FEATURES]


def messages(count: int, symbols: int) -> Iterator[list[Message]]:
    """Yield batches of ticks, ``count`` in all, as all contestants get them."""
    return simulated_messages(count, symbols, RATE_HZ * symbols)


def rows_of(values: Sequence[bytes]) -> Float64:
    """Return the kernel's features of ticks in their order, float64, (n, len(FEATURES)).

    Raises
    ------
    ValueError
        Something is no valid tick.
    """
    symbols, state, parts = SymbolTable(), FeatureState(), []
    for at in range(0, len(values), _CHUNK):
        chunk = list(values[at : at + _CHUNK])
        offsets = list(range(at, at + len(chunk)))
        later_ms = [2_000_000_000_000] * len(chunk)
        batch = RawBatch(0, chunk, offsets, later_ms, next_offset=at + len(chunk))
        ticks, dead = decode(batch, symbols, topics.TICKS_RAW, frozenset())
        if dead:
            message = f"not a tick: {dead[0]}"
            raise ValueError(message)
        parts.append(state.update(ticks).values64[:, _COLUMNS])
    return np.concatenate(parts)


def worst_difference(found: Float64, ours: Float64) -> float:
    """Return by how much features differ from ours at most, relative to their size.

    Each column is measured by the value itself or by the mean of its magnitude, whichever is
    greater: where terms cancel, the error is that of the terms. Infinite where only one is defined.
    """
    if (np.isnan(found) != np.isnan(ours)).any():
        return math.inf
    size = np.maximum(np.abs(ours), np.nanmean(np.abs(ours), axis=0))
    return float(np.nanmax(np.abs(found - ours) / np.where(size > 0, size, 1.0)))


@dataclass(frozen=True)
class Reference:
    """The model, as the product and as everybody else gets it.

    Attributes
    ----------
    store
        Folder of a model store with the model as champion.
    onnx
        The same file.
    """

    store: Path
    onnx: Path

    def scores_of(self, values: Sequence[bytes]) -> Float64:
        """Return the score of each tick, float64, shape (n,)."""
        rows = rows_of(values).astype(np.float32)
        return score_onnx(self.onnx.read_bytes(), rows)


def make_reference(folder: Path) -> Reference:
    """Fit gradient boosting (20 trees of depth 5) to simulated ticks and publish it.

    What it is to foresee is whether the next tick's mid is above this one's; only its cost matters.
    """
    values = [each["value"] for batch in messages(_FITTED, 4) for each in batch]
    rows = rows_of(values)
    # Volatility over the window is what comes next often enough for a tree to split on.
    target = np.roll(rows[:, 1], -50) > rows[:, 1]
    model = Model(
        Preprocessor([raw(name) for name in FEATURES], list(FEATURES), scale=False), gbt_classic(1)
    )
    model.fit(rows.astype(np.float32), target.astype(np.float64))
    graph = to_bytes(model, len(FEATURES))
    store = ModelStore(folder / "store")
    reference = store.publish(manifest_of(VARIANT, SPIKE, list(FEATURES), graph), graph)
    store.move(SPIKE.name, champion=reference, by="bench")
    (onnx,) = (folder / "store").glob(f"models/*/*/{MODEL_FILE}")
    return Reference(folder / "store", onnx)


def flat(batches: Iterable[list[Message]]) -> Iterator[Message]:
    """Yield the messages of batches one by one."""
    for batch in batches:
        yield from batch
