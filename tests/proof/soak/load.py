"""Ticks for a soak: clean, in order, and so even that what grows is no window."""

import itertools
import random
import time
from collections.abc import Iterator

import msgspec

from flows.feeds.simulator.market import symbol_names
from flows.feeds.simulator.parse import VENUE
from schemas.features import MEMORY_S
from schemas.ticks import Tick
from tests.proof.feeder import Rhythm
from tests.support.kafka.tools import Outgoing

START_NS = 1_750_000_000_000_000_000
_FILLED_S = 1.1 * MEMORY_S


def event_hz(rhythm: Rhythm, minutes: float) -> float:
    """Return how many ticks a second of event time has.

    In a soak of two hours and more as many as a second of the clock. In a shorter one fewer, so
    that event time runs faster: the memory of the state is full when half of the soak is over.
    """
    return min(rhythm.mean_hz, rhythm.mean_hz * minutes * 60 / 2 / _FILLED_S)


def ticks(seed: int, symbols: int, partitions: int, rate_hz: float) -> Iterator[Outgoing]:
    """Yield ticks without end, each of which must have a prediction.

    The symbols take turns and the event time goes on by the same step, so that every window always
    holds as many ticks; a burst is the same market in fast motion. The Kafka timestamp is the
    clock's, so that latencies can be told.
    """
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    names = symbol_names(symbols)
    keys = [name.encode() for name in names]
    prices = [10.0 ** random_.uniform(0.0, 4.0) for _ in names]
    step_ns = round(1e9 / rate_hz)
    encode = msgspec.json.Encoder().encode
    for number in itertools.count():
        trade, which = divmod(number, symbols)
        prices[which] *= 1.0 + random_.gauss(0.0, 1e-4)
        price = round(prices[which], 6)
        ts_ns = START_NS + number * step_ns
        tick = Tick(
            symbol=names[which],
            venue=VENUE,
            ts_event_ns=ts_ns,
            ts_recv_ns=ts_ns,
            price=price,
            size=round(random_.expovariate(1.0), 5),
            side=1 if random_.random() < 0.5 else -1,
            bid=price * 0.9999,
            ask=price * 1.0001,
            bid_size=round(random_.expovariate(0.5), 4),
            ask_size=round(random_.expovariate(0.5), 4),
            trade_id=trade + 1,
        )
        now_ms = time.time_ns() // 1_000_000
        yield Outgoing(which % partitions, keys[which], encode(tick), now_ms)
