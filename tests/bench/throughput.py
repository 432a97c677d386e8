"""How fast the running flow is, beside the limit of the same broker, messages and machine.

Every round runs each contestant once, so that what the machine does meanwhile hits all alike; the
result is the median of the rounds with its spread, and the ratio to the pass-through. Among them is
the flow without its work: what no code between the same reader and writer could beat. A rate is
taken from the group's committed offsets behind the log's first quarter, so that start-up, the
loading of models and of compiled code, and the batches before that code serves do not count.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from flows.features import warm_up
from flows.scoring.registry import ModelStore
from schemas import topics
from tests.bench.bare import keep
from tests.bench.load import fill, simulated_messages
from tests.bench.memory import peak_mb
from tests.bench.models import set_champion
from tests.bench.percentiles import ratio
from tests.bench.profile import BATCH, StepClock, raw_batches, walk
from tests.bench.servers import Servers, servers
from tests.bench.written import Written
from tests.proof.progress import Progress
from tests.support.polling import pause
from tests.support.processes import Process

COPY_TOPIC = "bench.copy"
FINISH_LIMIT_S = 300.0
# Compiled code serves some seconds after the start: the shorter the log, the more of it is before.
WARM_UP_SHARE = 0.25
# Each look costs the broker a request and a core some time, which the pass-through is spared.
LOOK_S = 0.05


@dataclass(frozen=True)
class Rate:
    """One contestant in one round; those that do no work do not tell their memory."""

    ticks_per_s: float
    cpu_us_per_tick: float
    peak_mb: float = 0.0


def run(
    tick_count: int, rounds: int, brokers: list[str], models: list[str], symbol_count: int
) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    result: dict[str, Any] = {"ticks": tick_count, "rounds": rounds, "symbols": symbol_count}
    for kind in brokers:
        with servers(kind) as place:
            place.topics(*topics.ALL, COPY_TOPIC)
            fill(place.config, simulated_messages(tick_count, symbol_count))
            result[kind] = _on_broker(place, tick_count, rounds, models, symbol_count)
    return result


def _on_broker(
    place: Servers, tick_count: int, rounds: int, models: list[str], symbol_count: int
) -> dict[str, Any]:
    stores = {model: set_champion(model, place.folder / f"store-{model}") for model in models}
    messages = _keep_messages(place.folder, stores[models[0]], symbol_count)
    rates: dict[str, list[Rate]] = {}
    # Not counted: a broker in Java is slow until it has compiled what is used most, and the first
    # contestant, which is the limit, would pay for it.
    _passthrough(place, tick_count)
    _flow(place, stores[models[0]], "bench-warm-up", tick_count, Written.FEATURES)
    for number in range(rounds):
        rates.setdefault("passthrough", []).append(_passthrough(place, tick_count))
        for written, folder in messages.items():
            name = written.named("bare")
            rate = _bare(place, tick_count, f"bench-{name}-{number}", folder)
            rates.setdefault(name, []).append(rate)
            _say(f"round {number + 1}: {name} {rate.ticks_per_s:,.0f} ticks/s")
        for model, store in stores.items():
            for written in Written:
                name = written.named(model)
                rate = _flow(place, store, f"bench-{name}-{number}", tick_count, written)
                rates.setdefault(name, []).append(rate)
                _say(f"round {number + 1}: {name} {rate.ticks_per_s:,.0f} ticks/s")
    limit = statistics.median(rate.ticks_per_s for rate in rates["passthrough"])
    return {name: _summary(each, limit) for name, each in rates.items()}


def _summary(rates: list[Rate], limit: float) -> dict[str, float | None]:
    per_s = [rate.ticks_per_s for rate in rates]
    median = statistics.median(per_s)
    return {
        "ticks_per_s": round(median),
        "ticks_per_s_min": round(min(per_s)),
        "ticks_per_s_max": round(max(per_s)),
        "cpu_us_per_tick": round(statistics.median(rate.cpu_us_per_tick for rate in rates), 3),
        "peak_mb": max(rate.peak_mb for rate in rates) or None,
        "of_passthrough": ratio(median, limit),
    }


def _keep_messages(folder: Path, store: Path, symbol_count: int) -> dict[Written, Path]:
    """Write what the flow makes of a full batch to a folder, for each kind of output."""
    warm_up()
    some = raw_batches(2 * BATCH, symbol_count)
    folders = {}
    for written in Written:
        folders[written] = folder / written.named("messages")
        keep(walk(ModelStore(store), some, StepClock(0), written)[-1], folders[written])
    return folders


def _passthrough(place: Servers, count: int) -> Rate:
    rate = _told(place.passthrough(topics.TICKS_RAW, COPY_TOPIC, count))
    _say(f"pass-through {rate.ticks_per_s:,.0f} ticks/s")
    return rate


def _bare(place: Servers, count: int, group: str, messages: Path) -> Rate:
    return _told(place.bare(count, int(WARM_UP_SHARE * count), group, messages))


def _told(contestant: Process) -> Rate:
    """Run a contestant that ends by itself; return what it tells."""
    with contestant as process:
        if process.wait_exit(FINISH_LIMIT_S) != 0:
            message = f"{' '.join(process.arguments)} failed:\n{process.tail()}"
            raise RuntimeError(message)
    return Rate(**json.loads(process.stdout.splitlines()[-1]))


def _flow(place: Servers, store: Path, group: str, tick_count: int, written: Written) -> Rate:
    """Run the flow over the whole topic and time it from the end of its warm-up to its end."""
    progress = Progress(place.config, group, 1)
    settings = {
        **written.settings,
        "VOLTICK_START": "beginning",  # although another contestant's group has written
    }
    deadline = time.monotonic() + FINISH_LIMIT_S
    with place.flow(store, group, group, **settings) as process:
        watched = psutil.Process(process.pid)
        first: tuple[float, float, int] | None = None
        while True:
            if not process.running or time.monotonic() > deadline:
                message = f"the flow ended or stalled, exit {process.exit_code}:\n{process.tail()}"
                raise RuntimeError(message)
            committed = progress.total()
            now, cpu_s = time.perf_counter(), sum(watched.cpu_times()[:2])
            if first is None and committed >= WARM_UP_SHARE * tick_count:
                first = (now, cpu_s, committed)
            if first is not None and committed >= tick_count:
                break
            pause(LOOK_S)
        peak = peak_mb(process.pid)
    progress.close()
    timed = committed - first[2]
    if timed < tick_count // 2:
        message = f"only {timed} of {tick_count} ticks lay between two looks; give more ticks"
        raise RuntimeError(message)
    return Rate(timed / (now - first[0]), 1e6 * (cpu_s - first[1]) / timed, peak)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
