"""Where the flow's time goes: microseconds of CPU per tick, by step.

The steps that need no broker are called one after another on batches as the flow has them, in this
process and thread, with the flow's own collector settings; a figure is the least of some rounds.
What reading and writing cost is measured by :mod:`tests.bench.transport` on a broker.
"""

import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from flows.codec.batch import RawBatch
from flows.codec.outputs import OutputBatch
from flows.codec.row_writer import row_writer_kernel
from flows.codec.tick_parser import tick_parser_kernel
from flows.features import warm_up
from flows.monitoring.metrics import PipelineMetrics
from flows.runtime.process import calm_collector
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from flows.stages.encode import EncodeStep
from flows.stages.score import DecodeStep, FeatureStep, Scored, ScoreStep
from schemas import topics
from tests.bench.load import fill, simulated_messages
from tests.bench.models import set_champion
from tests.bench.servers import TARGET, servers
from tests.bench.transport import BATCH, consume, produce
from tests.bench.written import Written

# Of the ticks, not counted: caches and windows are still filling.
WARMING = 0.2

T = TypeVar("T")


def run(
    tick_count: int, rounds: int, symbols: int, models: list[str], brokers: list[str]
) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    batches = raw_batches(tick_count, symbols)
    warm_up()
    calm_collector()
    result: dict[str, Any] = {
        "bench": "profile",
        "ticks": tick_count,
        "batch": BATCH,
        "rounds": rounds,
        "symbols": symbols,
    }
    outputs: dict[Written, list[OutputBatch]] = {}
    for model in models:
        with tempfile.TemporaryDirectory(prefix="voltick-bench-") as name:
            store = ModelStore(set_champion(model, Path(name) / "store"))
            result[model], outputs = _model(store, batches, rounds)
    for kind in brokers:
        with servers(kind) as place:
            place.topics(*topics.ALL)
            fill(place.config, simulated_messages(tick_count, symbols))
            found = {"consume": consume(place.config, tick_count)}
            for written, batches_out in outputs.items():
                name = written.named("produce")
                found[name] = produce(place.config, batches_out, f"bench-{name}")
            found["total_us"] = {
                written.named(model): total_us(result[model], found, written)
                for model in models
                for written in outputs
            }
            result[kind] = found
    gc.unfreeze()
    _print(result, models, brokers)
    return result


def raw_batches(tick_count: int, symbols: int) -> list[RawBatch]:
    """Return simulated ticks as the source would deliver them under backlog."""
    values = [m["value"] for part in simulated_messages(tick_count, symbols) for m in part]
    return [
        RawBatch(
            partition=0,
            values=values[start : start + BATCH],
            offsets=list(range(start, min(start + BATCH, tick_count))),
            timestamps_ms=[-1] * len(values[start : start + BATCH]),
            next_offset=min(start + BATCH, tick_count),
            caught_up=False,
        )
        for start in range(0, tick_count, BATCH)
    ]


def total_us(steps: dict[str, float], broker: dict[str, Any], written: Written) -> float:
    """Return what a tick costs the flow's Python threads in all, microseconds."""
    encode = steps[written.named("encode")]
    inner = steps["decode"] + steps["features"] + steps["score"] + encode
    rim = broker["consume"]["thread_us"], broker[written.named("produce")]["thread_us"]
    return round(inner + sum(rim), 3)


def _model(
    store: ModelStore, batches: list[RawBatch], rounds: int
) -> tuple[dict[str, float], dict[Written, list[OutputBatch]]]:
    """Return µs per tick by step, and what the last round would have written."""
    best: dict[str, float] = defaultdict(lambda: float("inf"))
    outputs: dict[Written, list[OutputBatch]] = {}
    for _ in range(rounds):
        for written in Written:
            clock = StepClock(int(WARMING * len(batches)))
            outputs[written] = walk(store, batches, clock, written)
            for name, figure in clock.us_per_tick().items():
                key = written.named(name) if name == "encode" else name
                best[key] = min(best[key], figure)
    return {name: round(figure, 4) for name, figure in best.items()}, outputs


def walk(
    store: ModelStore, batches: list[RawBatch], clock: "StepClock", written: Written
) -> list[OutputBatch]:
    """Take batches through all steps; return what the flow would write for each."""
    metrics = PipelineMetrics()
    parse = tick_parser_kernel().compile
    decode = DecodeStep(topics.TICKS_RAW, frozenset(), metrics, parse=parse)
    features = FeatureStep(metrics)
    score = ScoreStep(Scorer(store, [TARGET]), metrics)
    encode = EncodeStep(
        topics.TICKS_RAW,
        metrics,
        publish_features=written.publishes_features,
        packed_features=written.is_packed,
        write=row_writer_kernel().compile,
    )
    outputs = []
    for raw in batches:
        decoded = clock.timed("decode", lambda raw=raw: decode(raw))
        featured = clock.timed("features", lambda decoded=decoded: features(decoded))
        scored = clock.timed("score", lambda featured=featured: score(featured))
        output = clock.timed("encode", lambda scored=scored: _encoded(encode, scored))
        clock.batch_done(len(raw.values))
        outputs.append(output)
    return outputs


def _encoded(encode: EncodeStep, scored: Scored) -> OutputBatch:
    """Return the whole output, of which the flow's writing thread makes a part."""
    _key, output = encode(scored)
    return output.completed()


class StepClock:
    """Adds up the CPU time of the calling thread by step, after some batches that do not count.

    Parameters
    ----------
    skip
        How many batches do not count.
    clock_ns
        CPU time of the calling thread, nanoseconds.
    """

    def __init__(self, skip: int, clock_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._left = skip
        self._clock_ns = clock_ns
        self._spent_ns: dict[str, int] = defaultdict(int)
        self._ticks = 0

    def timed(self, step: str, call: Callable[[], T]) -> T:
        """Call a step and charge it."""
        begin = self._clock_ns()
        answer = call()
        if self._left == 0:
            self._spent_ns[step] += self._clock_ns() - begin
        return answer

    def batch_done(self, ticks: int) -> None:
        """Note that a batch of so many ticks has gone through all steps."""
        if self._left > 0:
            self._left -= 1
        else:
            self._ticks += ticks

    def us_per_tick(self) -> dict[str, float]:
        """Return microseconds per counted tick, by step."""
        return {step: ns / 1000 / self._ticks for step, ns in self._spent_ns.items()}


def _print(result: dict[str, Any], models: list[str], brokers: list[str]) -> None:
    lines = []
    for model in models:
        steps = ", ".join(f"{name} {figure:.2f}" for name, figure in result[model].items())
        lines.append(f"{model}, µs per tick: {steps}")
    for kind in brokers:
        found = result[kind]
        rim = ", ".join(
            f"{name} {figures['thread_us']:.2f} (client's threads {figures['client_us']:.2f})"
            for name, figures in found.items()
            if name != "total_us"
        )
        lines.append(f"{kind}, µs per tick: {rim}; in all {found['total_us']}")
    sys.stderr.write("\n".join(lines) + "\n")
