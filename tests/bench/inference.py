"""Cost of one score: µs per row of every variant, alone and in batches.

ONNX Runtime is measured through the flow's own :class:`OnnxModel` (picking of columns and cast
included), scikit-learn through the fitted model that the graph was exported from. Contestants take
turns in short blocks; a figure is the best block's mean, the cost where nothing else ran.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.errors import TrainingError
from flows.scoring.onnx_model import OWN_FEATURES, OnnxModel
from flows.scoring.registry import ModelStore
from schemas.features import NAMES
from schemas.models import TargetSpec
from tests.bench.models import SEED, manifest_of, noisy_events, noisy_returns, random_features
from training.estimators.export import to_bytes
from training.estimators.recipes import Fitting, recipes

BATCH = 1024
# As many as training fits most variants to: trees then grow as large as real ones.
FIT_ROWS = 20_000
BLOCKS = 9
BLOCK_S = 0.01
KINDS = {"classification": "volatility_spike", "regression": "forward_return"}

Scorer = Callable[[np.ndarray], object]


@dataclass(frozen=True)
class Contestant:
    """One variant: its graph, and the fitted model where there is one."""

    name: str
    onnx: OnnxModel
    sklearn: Scorer | None


def run(store: Path | None = None, blocks: int = BLOCKS) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object; a table goes to stderr.

    Parameters
    ----------
    store
        Measure the versions of this model store; by default every variant that training knows,
        fitted to random features.
    blocks
        Rounds over all contestants.
    """
    contestants = fitted() if store is None else stored(ModelStore(store))
    rows = random_features(BATCH)
    cases: dict[tuple[str, str], Callable[[], object]] = {}
    for each in contestants:
        cases[each.name, "onnx_batch"] = lambda model=each.onnx: model.score(rows)
        cases[each.name, "onnx_single"] = lambda model=each.onnx: model.score(rows[:1])
        if each.sklearn is not None:
            cases[each.name, "sklearn_batch"] = lambda score=each.sklearn: score(rows)
            cases[each.name, "sklearn_single"] = lambda score=each.sklearn: score(rows[:1])
    samples: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for _ in range(blocks):
        for case, call in cases.items():
            samples[case].append(_seconds_per_call(call))
    variants: dict[str, dict[str, float]] = {each.name: {} for each in contestants}
    for (name, case), seconds in samples.items():
        row_count = BATCH if case.endswith("_batch") else 1
        variants[name][f"{case}_us_per_row"] = round(min(seconds) * 1e6 / row_count, 4)
    _print_table(variants)
    return {"bench": "inference", "batch": BATCH, "blocks": blocks, "variants": variants}


def fitted() -> list[Contestant]:
    """Return every variant of training, fitted to random features."""
    values = random_features(FIT_ROWS)
    labels = {"classification": noisy_events(values), "regression": noisy_returns(values)}
    found = []
    for kind, target in KINDS.items():
        for name, recipe in recipes(kind).items():
            model, columns = recipe.build(NAMES, Fitting(SEED))
            positions = [NAMES.index(column) for column in columns]
            try:
                model.fit(values[:, positions], labels[kind])
            except TrainingError as error:  # an extra that is not installed
                sys.stderr.write(f"{name} left out: {error}\n")
                continue
            onnx_bytes = to_bytes(model, len(columns))
            definition = "relative" if kind == "classification" else "return"
            spec = TargetSpec(name=target, kind=kind, definition=definition, level=1.0)
            manifest = manifest_of(name, spec, columns, onnx_bytes)
            found.append(
                Contestant(
                    f"{target}/{name}",
                    OnnxModel(manifest, onnx_bytes),
                    lambda rows, model=model, at=positions: model.score(rows[:, at]),
                )
            )
    return found


def stored(store: ModelStore) -> list[Contestant]:
    """Return the versions of a store that score the feature contract."""
    return [
        Contestant(manifest.ref, OnnxModel(*store.read(manifest.ref)), None)
        for manifest in store.manifests()
        if manifest.feature_set != OWN_FEATURES
    ]


def _seconds_per_call(call: Callable[[], object]) -> float:
    call()
    calls = 0
    start = time.perf_counter()
    while True:
        call()
        calls += 1
        spent = time.perf_counter() - start
        if spent >= BLOCK_S:
            return spent / calls


def _print_table(variants: dict[str, dict[str, float]]) -> None:
    cases = [f"{engine}_{size}" for size in ("batch", "single") for engine in ("onnx", "sklearn")]
    width = max((len(name) for name in variants), default=0)
    lines = ["µs per row".ljust(width) + "".join(f"{case:>16}" for case in cases)]
    for name, figures in variants.items():
        cells = (figures.get(f"{case}_us_per_row") for case in cases)
        lines.append(
            name.ljust(width)
            + "".join(f"{'-' if cell is None else format(cell, '.3f'):>16}" for cell in cells)
        )
    sys.stderr.write("\n".join(lines) + "\n")
