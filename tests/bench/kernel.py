"""What the feature kernel costs per tick: by number of symbols, batch size and ticks in a window.

CPU time of this process, not wall time, so that neighbours on the machine disturb little; the
median and the least of several rounds. A round is an hour of event time, because some ticks cost
far more than others: the first of each minute, of each 5 and so on up to the hour has all that a
window holds summed anew. The state is filled with an hour of ticks before the clock starts.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.codec.batch import TickBatch
from flows.features import FeatureState, warm_up
from flows.numeric.time import NS_PER_S
from flows.runtime.process import calm_collector

START_NS = 1_700_000_000 * NS_PER_S
ROUNDS = 5
ROUND_S = 3_600
# Drawn and cut at a time, with the clock stopped.
CHUNK_TICKS = 16_384

SYMBOLS = (1, 50, 500)
BATCHES = (1, 64, 1024)
RATES_HZ = (10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Cost:
    """One case: nanoseconds per tick, calls from Python included, and the state's megabytes."""

    median_ns: float
    least_ns: float
    state_mb: float


def run() -> dict[str, Any]:
    """Time all cases and return nanoseconds per tick by case."""
    begin = time.perf_counter()
    warm_up()
    compile_or_load_s = time.perf_counter() - begin
    calm_collector()
    # 100 ticks/s in all, of one symbol or of many.
    of_symbols = {f"symbols_{symbols}": cost_of(symbols, 100.0, 1024) for symbols in SYMBOLS}
    of_batches = {f"batch_{batch}": cost_of(50, 100.0, batch) for batch in BATCHES}
    # The windows are the same, what they hold is not: the cost must not follow.
    of_rates = {f"ticks_in_300s_{round(300 * hz)}": cost_of(1, hz, 1024) for hz in RATES_HZ}
    costs = of_symbols | of_batches | of_rates
    _print(costs)
    return {
        "bench": "kernel",
        "compile_or_load_s": round(compile_or_load_s, 3),
        "rounds": ROUNDS,
        "ns_per_tick": {name: cost.median_ns for name, cost in costs.items()},
        "ns_per_tick_min": {name: cost.least_ns for name, cost in costs.items()},
        "state_mb": {name: cost.state_mb for name, cost in of_symbols.items()},
    }


def log_of(symbols: int, rate_hz: float, first: int, n: int) -> TickBatch:
    """Return ticks ``first`` to ``first + n - 1`` of an endless log."""
    rng = np.random.default_rng([symbols, first])
    k = np.arange(first, first + n)
    price = np.round(100.0 * np.exp(rng.normal(0.0, 1e-4, n)), 2)
    half = rng.choice([0.005, 0.01, 0.02], n)
    return TickBatch(
        partition=0,
        offset=k,
        symbol_id=rng.integers(0, symbols, n).astype(np.int32),
        ts_event_ns=START_NS + (k * (NS_PER_S / rate_hz)).astype(np.int64),
        price=price,
        size=rng.exponential(1.0, n),
        side=rng.choice([-1, 1], n).astype(np.int8),
        bid=price - half,
        ask=price + half,
        bid_size=rng.exponential(2.0, n),
        ask_size=rng.exponential(2.0, n),
        trade_id=k,
        gap=np.zeros(n, np.bool_),
        ticks=[],
    )


def cost_of(
    symbols: int, rate_hz: float, batch: int, rounds: int = ROUNDS, round_s: int = ROUND_S
) -> Cost:
    """Time a case on a log of ``rate_hz`` ticks a second, after one round that only fills."""
    state = FeatureState()
    ticks = round(round_s * rate_hz)
    _spent_ns(state, symbols, rate_hz, range(ticks), CHUNK_TICKS)
    per_tick = [
        _spent_ns(state, symbols, rate_hz, range(first, first + ticks), batch) / ticks
        for first in range(ticks, (rounds + 1) * ticks, ticks)
    ]
    return Cost(
        round(statistics.median(per_tick), 1),
        round(min(per_tick), 1),
        round(state.nbytes / 1e6, 1),
    )


def _spent_ns(state: FeatureState, symbols: int, rate_hz: float, span: range, batch: int) -> int:
    """Bring these ticks of the log into the state and return what that took of CPU time."""
    spent = 0
    for first in span[::CHUNK_TICKS]:
        count = min(CHUNK_TICKS, span.stop - first)
        log = log_of(symbols, rate_hz, first, count)
        parts = [_cut(log, at, at + batch) for at in range(0, count, batch)]
        begin = time.process_time_ns()
        for part in parts:
            state.update(part)
        spent += time.process_time_ns() - begin
    return spent


def _cut(log: TickBatch, start: int, stop: int) -> TickBatch:
    part = slice(start, stop)
    return TickBatch(
        partition=0,
        offset=log.offset[part],
        symbol_id=log.symbol_id[part],
        ts_event_ns=log.ts_event_ns[part],
        price=log.price[part],
        size=log.size[part],
        side=log.side[part],
        bid=log.bid[part],
        ask=log.ask[part],
        bid_size=log.bid_size[part],
        ask_size=log.ask_size[part],
        trade_id=log.trade_id[part],
        gap=log.gap[part],
        ticks=[],
    )


def _print(costs: dict[str, Cost]) -> None:
    lines = [
        f"{name:>24} {cost.median_ns:>9.1f} ns/tick, at least {cost.least_ns:.1f}"
        for name, cost in costs.items()
    ]
    sys.stderr.write("\n".join(lines) + "\n")
