"""What candles and the archive cost, microseconds of processor time per tick.

Raw batches as the flows have them go through the stage or the writer, without a broker; a figure is
the least of some rounds. All threads of this process count, waiting for a disk or for other
processes does not. Decoding and features, which the pipeline and the candles both do, are
told beside it.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.connectors.parquet.merging import merge_topic
from flows.connectors.parquet.storage import LocalStorage
from flows.connectors.parquet.writer import ArchiveWriter, Beginning
from flows.features import FeatureState, warm_up
from flows.monitoring.candle_metrics import CandleMetrics
from flows.runtime.process import calm_collector
from flows.stages.candles import CandleStage
from schemas import topics
from tests.bench.profile import raw_batches

ROWS_AT_ONCE = 100_000


def run(tick_count: int, rounds: int, symbols: int) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    batches = raw_batches(tick_count, symbols)
    warm_up()
    calm_collector()

    def us(measured: Callable[[Sequence[RawBatch]], object]) -> float:
        return round(min(_seconds(measured, batches) for _ in range(rounds)) * 1e6 / tick_count, 3)

    found = {"decode_us": us(_decode), "decode_and_features_us": us(_features)}
    found["candles_us"] = us(_candles)
    with tempfile.TemporaryDirectory(prefix="voltick-bench-") as name:
        folders = (Path(name) / str(number) for number in range(rounds))
        found["archive_us"] = us(lambda some: _archive(next(folders), some))
        last = LocalStorage(Path(name) / str(rounds - 1))
        size = sum(each for path, each in last.files("topic=") if path.endswith(".parquet"))
        begin = time.process_time()
        merge_topic(last, topics.TICKS_RAW, settled_before="9999")
        found["merge_us"] = round((time.process_time() - begin) * 1e6 / tick_count, 3)
    return {
        "bench": "keeping",
        "ticks": tick_count,
        "rounds": rounds,
        "symbols": symbols,
        **found,
        "archived_bytes_per_tick": round(size / tick_count, 1),
    }


def _seconds(measured: Callable[[Sequence[RawBatch]], object], batches: list[RawBatch]) -> float:
    begin = time.process_time()
    measured(batches)
    return time.process_time() - begin


def _decode(batches: Sequence[RawBatch]) -> None:
    symbols = SymbolTable()
    for batch in batches:
        decode(batch, symbols, topics.TICKS_RAW, frozenset())


def _features(batches: Sequence[RawBatch]) -> None:
    symbols, state = SymbolTable(), FeatureState()
    for batch in batches:
        state.update(decode(batch, symbols, topics.TICKS_RAW, frozenset())[0])


def _candles(batches: Sequence[RawBatch]) -> None:
    stage = CandleStage(frozenset(), CandleMetrics())
    for batch in batches:
        stage(batch)


def _archive(folder: Path, batches: Sequence[RawBatch]) -> None:
    storage = LocalStorage(folder)
    writer = ArchiveWriter(storage, topics.TICKS_RAW, batches[0].partition, Beginning(0, "log"))
    writer.take_over()
    for batch in batches:
        writer.write(batch)
        if writer.rows >= ROWS_AT_ONCE:
            writer.commit()
    if writer.is_open:
        writer.commit()
    writer.close()
