"""Tick batches for tests: made, cut and random."""

from dataclasses import dataclass, fields

import numpy as np

from flows.codec.batch import NO_TRADE_ID, TickBatch
from flows.numeric.time import NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S
NAN = float("nan")

COLUMNS = tuple(f.name for f in fields(TickBatch) if f.name not in ("partition", "ticks"))
DTYPES = {
    "offset": np.int64,
    "symbol_id": np.int32,
    "ts_event_ns": np.int64,
    "side": np.int8,
    "trade_id": np.int64,
    "gap": np.bool_,
}


@dataclass
class T:
    """One tick of a test; times in nanoseconds."""

    ts: int
    price: float = 100.0
    symbol: int = 0
    size: float = NAN
    side: int = 0
    bid: float = NAN
    ask: float = NAN
    bid_size: float = NAN
    ask_size: float = NAN
    trade_id: int = NO_TRADE_ID
    gap: bool = False


def batch_of(ticks, offsets=None, partition=0) -> TickBatch:
    """Return a batch of ``T``, offsets 0, 1, ... unless given."""
    names = dict(zip(COLUMNS, ("", "symbol", "ts", *COLUMNS[3:]), strict=True))
    columns = {
        name: np.array([getattr(x, source) for x in ticks], DTYPES.get(name, np.float64))
        for name, source in names.items()
        if source
    }
    columns["offset"] = np.array(range(len(ticks)) if offsets is None else offsets, dtype=np.int64)
    return TickBatch(partition=partition, ticks=[], **columns)


def cut(batch: TickBatch, start: int, stop: int) -> TickBatch:
    """Return the ticks ``start`` to ``stop - 1`` of a batch."""
    return TickBatch(
        partition=batch.partition,
        ticks=[],
        **{name: getattr(batch, name)[start:stop] for name in COLUMNS},
    )


def random_log(
    seed: int,
    n: int,
    symbols: int = 1,
    mean_gap_s: float = 1.0,
    nulls: float = 0.0,
    trade_ids: bool = True,
    late: float = 0.0,
    repeats: float = 0.0,
    gaps: float = 0.0,
    start_ns: int = START_NS,
) -> TickBatch:
    """Return a plausible log: random walks, quotes and sizes around them, and some trouble."""
    rng = np.random.default_rng(seed)
    symbol = rng.integers(0, symbols, n).astype(np.int32)
    ts = start_ns + np.cumsum((rng.exponential(mean_gap_s, n) * NS_PER_S).astype(np.int64))
    price = np.empty(n)
    ids = np.full(n, NO_TRADE_ID, np.int64)
    for s in range(symbols):
        mine = symbol == s
        count = int(mine.sum())
        moves = rng.normal(0, 1e-4, count) * (rng.random(count) < 0.6)
        price[mine] = np.round(100 * (s + 1) * np.exp(np.cumsum(moves)), 2)
        if trade_ids:
            ids[mine] = 1000 + np.arange(count)
    half = np.round(price * rng.choice([0.0, 5e-5, 1e-4, 2e-4], n), 2)
    bid, ask = price - half, price + half
    size = np.round(rng.exponential(1.0, n), 3)
    bid_size, ask_size = np.round(rng.exponential(2.0, (2, n)), 2)
    side = rng.choice([-1, 0, 1], n).astype(np.int8)
    for column in (size, bid, ask, bid_size, ask_size):
        column[rng.random(n) < nulls] = NAN
    is_late = rng.random(n) < late
    ts[is_late] -= rng.integers(0, 59 * NS_PER_S, int(is_late.sum()))
    again = (rng.random(n) < repeats) & trade_ids
    ids[again] -= 1
    return TickBatch(
        partition=0,
        offset=np.arange(n, dtype=np.int64),
        symbol_id=symbol,
        ts_event_ns=ts,
        price=price,
        size=size,
        side=side,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        trade_id=ids,
        gap=rng.random(n) < gaps,
        ticks=[],
    )
