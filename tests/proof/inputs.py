"""Seeded ticks that hit every rule.

Late ones, duplicates, gaps, restarts, nulls, two venues of one symbol, a second feed that sends
some again, receive clocks that are behind, crowds of symbols that are never seen again, and bad
messages.
"""

import itertools
import json
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.support.kafka.tools import Outgoing

START_NS = 1_750_000_000 * NS_PER_S
VENUE, OTHER_VENUE = "proof", "proof-too"
_ON_BOTH = 2
_CROWD, _CROWD_CHANCE = 20, 1 / 1500
_ENCODE = msgspec.json.Encoder().encode


@dataclass
class _Market:
    """One symbol's clock, price and ids on one venue."""

    symbol: str
    venue: str
    partition: int
    mean_wait_s: float
    has_ids: bool
    has_quotes: bool
    has_recv: bool
    now_ns: int
    price: float
    next_id: int = 1_000
    recent: deque[Tick] = field(default_factory=lambda: deque(maxlen=20))


def messages(seed: int, partitions: int, symbols: int = 12) -> Iterator[Outgoing]:
    """Yield messages without end; the same for the same arguments.

    Event times move by each symbol's own clock, 0.2 to 20 s a tick, so that an hour of memory is
    some thousand ticks; now and then a symbol's clock jumps past both restart limits. The first
    two symbols are traded on two venues, each with a clock, prices and ids of its own. Now and then
    a crowd of strangers comes to a partition: more symbols than a proof's pipeline remembers.
    """
    market = _market_messages(seed, partitions, symbols)
    random_ = random.Random(seed + 1)  # noqa: S311 - a test's input, repeatable by seed
    strangers = itertools.count()
    for each in market:
        yield each
        if random_.random() < _CROWD_CHANCE:
            for _ in range(_CROWD):
                yield _stranger(next(strangers), each.partition, each.timestamp_ms)


def _stranger(number: int, partition: int, timestamp_ms: int) -> Outgoing:
    symbol = f"STRANGER{number}-USD"
    tick = Tick(
        symbol=symbol, venue=VENUE, ts_event_ns=timestamp_ms * 1_000_000, price=1.0 + number
    )
    return Outgoing(partition, symbol.encode(), _ENCODE(tick), timestamp_ms)


def _market_messages(seed: int, partitions: int, symbols: int) -> Iterator[Outgoing]:
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    markets = [_market(random_, number, VENUE, partitions) for number in range(symbols)]
    markets += [_market(random_, number, OTHER_VENUE, partitions) for number in range(_ON_BOTH)]
    weights = [1 / market.mean_wait_s for market in markets]
    bad_kinds = itertools.cycle(_BAD)
    while True:
        [market] = random_.choices(markets, weights)
        partition = market.partition
        chance = random_.random()
        if chance < 0.015:
            value = next(bad_kinds)(_tick(random_, market))
            yield Outgoing(partition, market.symbol.encode(), value, _timestamp(market.now_ns))
            continue
        if chance < 0.030 and market.recent:
            ticks = [market.recent[-1]]
        elif chance < 0.031 and market.recent:
            ticks = list(market.recent)  # as after a reconnect
        elif chance < 0.035 and market.recent:
            ticks = [_seen_elsewhere(random_, each) for each in list(market.recent)[-3:]]
        else:
            ticks = [_tick(random_, market)]
        for tick in ticks:
            if tick not in market.recent:
                market.recent.append(tick)
            stamp = _timestamp(tick.ts_event_ns)
            yield Outgoing(partition, market.symbol.encode(), _ENCODE(tick), stamp)


def _market(random_: random.Random, number: int, venue: str, partitions: int) -> _Market:
    return _Market(
        symbol=f"S{number:02d}-USD",
        venue=venue,
        partition=number % partitions,
        mean_wait_s=random_.choice((0.2, 0.5, 1.0, 2.0, 5.0, 20.0)),
        has_ids=number % 4 != 3,
        has_quotes=number % 5 != 4,
        has_recv=number % 3 != 2,
        now_ns=START_NS + random_.randrange(60 * NS_PER_S),
        price=10.0 ** random_.uniform(-2, 5),
    )


def _timestamp(ts_ns: int) -> int:
    return ts_ns // 1_000_000 + 150


def _seen_elsewhere(random_: random.Random, tick: Tick) -> Tick:
    """Return the tick as a second feed beside the first sends it, which has just begun."""
    recv_ns = None if tick.ts_recv_ns is None else tick.ts_recv_ns + random_.randrange(10**9)
    return msgspec.structs.replace(tick, ts_recv_ns=recv_ns, gap=True)


def _received_ns(random_: random.Random, ts_ns: int) -> int:
    """Return when a tick was received, by a clock that now and then is minutes behind."""
    behind_ns = 250 * NS_PER_S if random_.random() < 0.01 else 0
    return ts_ns - random_.randrange(behind_ns + 1) + random_.randrange(400_000_000)


def _tick(random_: random.Random, market: _Market) -> Tick:
    lost = random_.random() < 0.003
    # A feed that starts again marks its first tick, also where it has lost nothing.
    started = random_.random() < 0.003
    market.now_ns += _step_ns(random_, market)
    market.price *= 1.0 + random_.gauss(0.0, 2e-4)
    market.next_id += random_.randrange(2, 500) if lost else 1
    ts_ns = market.now_ns
    chance = random_.random()
    if chance < 0.015:
        ts_ns -= random_.choice((1, random_.randrange(60 * NS_PER_S), 60 * NS_PER_S))
    elif chance < 0.0152:
        market.now_ns = ts_ns = ts_ns - 60 * NS_PER_S - random_.choice((1, 3600 * NS_PER_S))
    price = round(market.price, 6)
    half = price * random_.uniform(0, 3e-4)
    quoted = market.has_quotes and random_.random() > 0.05
    sized = random_.random() > 0.03
    return Tick(
        symbol=market.symbol,
        venue=market.venue,
        ts_event_ns=ts_ns,
        ts_recv_ns=_received_ns(random_, ts_ns) if market.has_recv else None,
        price=price,
        size=round(random_.expovariate(1.0), 5) if sized else None,
        side=random_.choice((-1, 0, 1, 1, -1)),
        bid=price - half if quoted else None,
        ask=price + half if quoted else None,
        bid_size=round(random_.expovariate(0.5), 4) if quoted and sized else None,
        ask_size=round(random_.expovariate(0.5), 4) if quoted and sized else None,
        trade_id=market.next_id if market.has_ids and random_.random() > 0.01 else None,
        gap=lost or started,
    )


def _step_ns(random_: random.Random, market: _Market) -> int:
    chance = random_.random()
    if chance < 0.05:
        return 0
    if chance < 0.0502:
        return 3600 * NS_PER_S + random_.choice((0, 1, 26 * 3600 * NS_PER_S))
    return int(random_.expovariate(1.0 / market.mean_wait_s) * NS_PER_S)


def _changed(tick: Tick, **fields: object) -> bytes:
    return json.dumps({**msgspec.to_builtins(tick), **fields}).encode()


def _at(ts_ns: int) -> dict[str, int]:
    return {"ts_event_ns": ts_ns, "ts_recv_ns": ts_ns}


def _without(tick: Tick, name: str) -> bytes:
    whole = msgspec.to_builtins(tick)
    del whole[name]
    return json.dumps(whole).encode()


# One of each kind of bad message; each takes a good tick.
_BAD = (
    lambda tick: b"",
    lambda tick: b"{",
    lambda tick: b"\xff\xfe not text",
    lambda tick: b"[" * 5000,
    lambda tick: b"null",
    lambda tick: b"[1, 2]",
    lambda tick: _ENCODE(tick)[:-9],
    lambda tick: _ENCODE(tick) + b"}",
    lambda tick: _changed(tick, price="12.5"),
    lambda tick: _changed(tick, side=2),
    lambda tick: _changed(tick, ts_event_ns=1.5),
    lambda tick: _changed(tick, symbol=""),
    lambda tick: _changed(tick, gap=None),
    lambda tick: _changed(tick, trade_id=-1),
    lambda tick: _without(tick, "price"),
    lambda tick: _without(tick, "symbol"),
    lambda tick: _without(tick, "ts_event_ns"),
    lambda tick: _changed(tick, price=0.0),
    lambda tick: _changed(tick, price=-1.0),
    lambda tick: _changed(tick, bid=0.0),
    lambda tick: _changed(tick, ask=float("inf")),
    lambda tick: _changed(tick, bid=tick.price * 1.01, ask=tick.price),
    lambda tick: _changed(tick, size=-0.5),
    lambda tick: _changed(tick, bid_size=-1.0),
    lambda tick: _changed(tick, ts_event_ns=tick.ts_event_ns + 302 * NS_PER_S, ts_recv_ns=None),
    lambda tick: _changed(tick, **_at(tick.ts_event_ns + 3 * 366 * 86_400 * NS_PER_S)),
    lambda tick: _changed(tick, price=0.0, gap=True),
    lambda tick: _changed(tick, ts_event_ns=1_230_768_000 * NS_PER_S - 1),
    lambda tick: _changed(tick, symbol="X" * 65),
    lambda tick: _changed(tick, note="x" * 66_000),
)
