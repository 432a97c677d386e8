"""Logs that hit every rule of order: what a careless venue, clock or operator could send."""

import numpy as np
from hypothesis import strategies as st

from flows.numeric.time import NS_PER_S
from tests.support.ticks import NAN, START_NS, T, batch_of

HOUR = 3600 * NS_PER_S

STEPS_NS = (
    0, 0, 1, 10**6, NS_PER_S // 2, NS_PER_S, HOUR, HOUR + 1, HOUR + NS_PER_S, 2 * HOUR, 25 * HOUR,
    *(NS_PER_S * step_s for step_s in (2, 7, 31, 61, 299, 301, 899, 1801, 3599)),
    *(-NS_PER_S * step_s for step_s in (1, 30, 59, 60, 61, 119)),
    -1, -60 * NS_PER_S - 1, -HOUR, -26 * HOUR,
)  # fmt: skip
"""From the log's clock to the next tick's time."""

SPARSE_STEPS_NS = (
    HOUR, HOUR, HOUR, 3599 * NS_PER_S, 1801 * NS_PER_S, HOUR + 1, -NS_PER_S, -60 * NS_PER_S - 1,
    30 * HOUR,
)  # fmt: skip
"""Steps by which days pass within a short log, so that symbols are forgotten."""

IDS = ("next", "next", "next", "next", "same", "back", "far back", "ahead", "far ahead", None)


class Writer:
    """Turns choices into ticks, one clock for all symbols."""

    def __init__(self) -> None:
        self.clock = START_NS
        self.ids: dict[int, int] = {}
        self.price: dict[int, float] = {}
        self.ticks: list[T] = []

    def add(self, symbol, step_ns, id_choice, sticky, move, nulls, side, gap) -> None:
        """Append a tick; ``sticky`` moves the clock to it, otherwise only this tick is off."""
        ts = max(self.clock + step_ns, START_NS - 100 * 24 * HOUR)
        if sticky:
            self.clock = ts
        last = self.ids.get(symbol, 1000)
        shift = {
            "next": 1, "same": 0, "back": -2, "far back": -500, "ahead": 20, "far ahead": 10**6,
        }.get(id_choice, 0)  # fmt: skip
        trade_id = max(0, last + shift)
        if id_choice in ("next", "ahead", "far ahead") or (sticky and id_choice == "far back"):
            self.ids[symbol] = trade_id
        mid = self.price.get(symbol, 100.0 * (symbol + 1)) * (1 + move * 1e-4)
        self.price[symbol] = mid
        half = mid * 1e-5 * (abs(move) % 3)
        tick = T(
            ts=ts,
            price=mid,
            symbol=symbol,
            size=0.5 + abs(move),
            side=side,
            bid=mid - half,
            ask=mid + half,
            bid_size=1.0 + (move % 5),
            ask_size=2.0 + (move % 7),
            trade_id=-1 if id_choice is None else trade_id,
            gap=gap,
        )
        for bit, name in enumerate(("size", "bid", "ask", "bid_size", "ask_size")):
            if nulls >> bit & 1:
                setattr(tick, name, NAN)
        if nulls >> 5 & 1:
            tick.size = 0.0
            tick.bid_size = 0.0 if tick.bid_size == tick.bid_size else NAN
            tick.ask_size = 0.0 if tick.ask_size == tick.ask_size else NAN
        self.ticks.append(tick)


def choices(symbols: int, steps_ns=STEPS_NS):
    """Return a strategy for the arguments of ``Writer.add``."""
    return st.tuples(
        st.integers(0, symbols - 1),
        st.sampled_from(steps_ns),
        st.sampled_from(IDS),
        st.booleans(),
        st.integers(-20, 20),
        st.sampled_from((0, 0, 0, 1, 2, 6, 8, 24, 31, 32)),
        st.integers(-1, 1),
        st.sampled_from((False, False, False, True)),
    )


@st.composite
def short_logs(draw, min_ticks=1, max_ticks=60, max_symbols=3, steps_ns=STEPS_NS):
    """Logs that shrink well."""
    symbols = draw(st.integers(1, max_symbols))
    writer = Writer()
    for choice in draw(
        st.lists(choices(symbols, steps_ns), min_size=min_ticks, max_size=max_ticks)
    ):
        writer.add(*choice)
    return batch_of(writer.ticks)


def long_log(seed: int, n: int, symbols: int, trouble: float, ids: float = 0.7):
    """Return a log of ``n`` ticks of which a share is troublesome; ``ids`` of them have an id."""
    rng = np.random.default_rng(seed)
    writer = Writer()
    calm = (NS_PER_S // 5, NS_PER_S, 3 * NS_PER_S, 20 * NS_PER_S)
    for _ in range(n):
        troubled = rng.random() < trouble
        step = int(rng.choice(STEPS_NS if troubled else calm))
        id_choice = IDS[rng.integers(len(IDS))] if troubled else "next"
        if rng.random() > ids:
            id_choice = None
        writer.add(
            int(rng.integers(symbols)),
            step,
            id_choice,
            (not troubled) or rng.random() < 0.4,
            int(rng.integers(-20, 21)),
            int(rng.choice((0, 0, 0, 1, 2, 6, 8, 24, 31, 32))),
            int(rng.integers(-1, 2)),
            bool(rng.random() < 0.05),
        )
    return batch_of(writer.ticks)
