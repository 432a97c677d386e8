"""What the feature kernel costs per tick: by number of symbols, batch size and ticks in a window.

CPU time of this process, not wall time, so that neighbours on the machine disturb little; the
median of several rounds of whole minutes of event time, for at each full minute windows are summed
anew. The state is filled with an hour of ticks before the clock starts.
"""

import math
import statistics
import sys
import time
from typing import Any

import numpy as np

from flows.batch import TickBatch
from flows.features import FeatureState, warm_up

NS = 1_000_000_000
START_NS = 1_700_000_000 * NS
ROUNDS = 7
LEAST_TICKS = 16_384
MINUTE_S = 60
WARMING_S = 3_600

SYMBOLS = (1, 50, 500)
BATCHES = (1, 64, 1024)
RATES_HZ = (10.0, 100.0, 1000.0)


def run() -> dict[str, Any]:
    """Time all cases and return nanoseconds per tick by case."""
    begin = time.perf_counter()
    warm_up()
    result: dict[str, Any] = {
        "bench": "kernel",
        "compile_or_load_s": round(time.perf_counter() - begin, 3),
        "ns_per_tick": {},
        "state_mb": {},
    }
    figures = result["ns_per_tick"]
    for symbols in SYMBOLS:
        # 100 ticks/s in all: an hour of it fills the state.
        name = f"symbols_{symbols}"
        figures[name], result["state_mb"][name] = _time(symbols, 100.0, 1024)
    for batch in BATCHES:
        figures[f"batch_{batch}"] = _time(50, 100.0, batch)[0]
    for rate in RATES_HZ:
        # The windows are the same, what they hold is not: the cost must not follow.
        figures[f"ticks_in_300s_{round(300 * rate)}"] = _time(1, rate, 1024)[0]
    _print(result)
    return result


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
        ts_event_ns=START_NS + (k * (NS / rate_hz)).astype(np.int64),
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


def _time(symbols: int, rate_hz: float, batch: int) -> tuple[float, float]:
    """Return nanoseconds per tick, calls from Python included, and the state's megabytes."""
    state = FeatureState()
    minute = round(MINUTE_S * rate_hz)
    ticks = math.ceil(LEAST_TICKS / minute) * minute
    done = 0
    while done < WARMING_S * rate_hz:
        state.update(log_of(symbols, rate_hz, done, ticks))
        done += ticks
    rounds = []
    for _ in range(ROUNDS):
        block = log_of(symbols, rate_hz, done, ticks)
        parts = [_cut(block, at, at + batch) for at in range(0, ticks, batch)]
        begin = time.process_time_ns()
        for part in parts:
            state.update(part)
        rounds.append((time.process_time_ns() - begin) / ticks)
        done += ticks
    return round(statistics.median(rounds), 1), round(state.nbytes / 1e6, 1)


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


def _print(result: dict[str, Any]) -> None:
    lines = [f"{name:>24} {figure:>9.1f} ns/tick" for name, figure in result["ns_per_tick"].items()]
    sys.stderr.write("\n".join(lines) + "\n")
