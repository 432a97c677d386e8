"""Training's way from ticks to the feature matrix and its labels, in seconds by part.

From ticks in memory, from a recording and from a Parquet file, through training's own functions.
Beside each stands what the same machine needs for the least that could be done: one rolling mean
of pandas over the same ticks, decompressing and decoding the same frames, reading the same columns.
A figure is the best of some rounds, the cost where nothing else ran.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow.parquet as pq

from flows.codec.batch import TickBatch
from flows.codec.tick_parser import tick_parser_kernel
from flows.features import feature_kernel
from flows.feeds.capture import CaptureReader
from flows.feeds.shapes.scanner import scanner_kernel
from schemas.features import NAMES
from tests.bench.percentiles import ratio
from tests.bench.ticklogs import Made
from training.data.build import FeatureTable, build_dataset, compute_features, quantities
from training.data.captures import read_capture
from training.data.feature_table import LABELS
from training.data.parquet import read_parquet
from training.data.ticklog import TickLog, take

SYMBOLS = 4
WARMING_TICKS = 2_000

T = TypeVar("T")


def run(tick_count: int, rounds: int) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    made = Made(tick_count, SYMBOLS)
    batch = made.batch()
    _compile(batch)
    with tempfile.TemporaryDirectory(prefix="voltick-bench-") as name:
        recording = made.recording(Path(name) / "ticks.frames.ndjson.gz")
        parquet = made.parquet(Path(name) / "ticks.parquet")
        result = {
            "bench": "features",
            "ticks": tick_count,
            "features": len(NAMES),
            "rounds": rounds,
            "memory": _memory(batch, rounds),
            "recording": _source(
                lambda: [read_capture(recording)], lambda: _frames(recording), rounds
            ),
            "parquet": _source(
                lambda: read_parquet(parquet), lambda: pq.ParquetFile(parquet).read(), rounds
            ),
        }
    _print(result)
    return result


def _memory(batch: TickBatch, rounds: int) -> dict[str, Any]:
    seconds, _ = _best(lambda: compute_features(batch), rounds)
    prices = pd.Series(batch.price, index=pd.to_datetime(batch.ts_event_ns))
    mean_s, _ = _best(lambda: prices.rolling("60s").mean(), rounds)
    return {
        "features_s": round(seconds, 3),
        "ticks_per_s": round(len(batch) / seconds),
        "of_one_rolling_mean": ratio(seconds, mean_s),
    }


def _source(
    read: Callable[[], list[TickLog]], read_barely: Callable[[], object], rounds: int
) -> dict[str, Any]:
    read_s, logs = _best(read, rounds)
    bare_s, _ = _best(read_barely, rounds)
    features_s, tables = _best(lambda: [compute_features(log.batch) for log in logs], rounds)
    labels = {
        name: round(_best(lambda spec=spec: _labels(logs, tables, spec), rounds)[0], 3)
        for name, spec in LABELS.items()
    }
    # What training.retrain does with the logs: features, one label, choice of rows.
    first = next(iter(LABELS.values()))
    dataset_s, dataset = _best(lambda: build_dataset(logs, first), rounds)
    return {
        "read_s": round(read_s, 3),
        "of_bare_reading": ratio(read_s, bare_s),
        "features_s": round(features_s, 3),
        "labels_s": labels,
        "dataset_s": round(dataset_s, 3),
        "rows": len(dataset),
        "read_and_features_s": round(read_s + features_s, 3),
    }


def _labels(logs: list[TickLog], tables: list[FeatureTable], spec: Any) -> None:
    for log, table in zip(logs, tables, strict=True):
        quantities(log.batch, table, spec)


def _frames(path: Path) -> int:
    with CaptureReader(path) as reader:
        return sum(len(block) for block in reader.blocks())


def _compile(batch: TickBatch) -> None:
    """Have everything compiled that is compiled at first use."""
    for kernel in (feature_kernel(), tick_parser_kernel(), scanner_kernel()):
        kernel.compile()
    few = take(batch, slice(0, WARMING_TICKS))
    table = compute_features(few)
    for spec in LABELS.values():
        quantities(few, table, spec)


def _best(call: Callable[[], T], rounds: int) -> tuple[float, T]:
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        answer = call()
        best = min(best, time.perf_counter() - begin)
    return best, answer


def _print(result: dict[str, Any]) -> None:
    lines = [f"memory     features {result['memory']['features_s']:.2f} s"]
    for name in ("recording", "parquet"):
        found = result[name]
        labels = sum(found["labels_s"].values())
        lines.append(
            f"{name:<10} read {found['read_s']:.2f} s, features {found['features_s']:.2f} s,"
            f" labels {labels:.2f} s, dataset in all {found['dataset_s']:.2f} s"
        )
    sys.stderr.write("\n".join(lines) + "\n")
