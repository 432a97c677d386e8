"""Seeded streams of tick messages, some of them mutated."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.fuzz.mutate import mutated
from tests.support.kafka.tools import Outgoing

START_NS = 1_750_000_000 * NS_PER_S
_ENCODE = msgspec.json.Encoder().encode
_TICK = msgspec.json.Decoder(Tick)
_FOLLOWED_ID = 2**60
# Mostly after the event; now and then by a clock that is behind.
_RECEIVED_BEFORE_NS = (*[-200_000_000] * 20, 0, 4 * NS_PER_S, 6 * NS_PER_S, 301 * NS_PER_S)


@dataclass
class _Market:
    symbol: str
    partition: int
    now_ns: int
    price: float
    next_id: int = 1_000
    last: bytes = b""


def hostile_messages(
    seed: int, count: int, partitions: int = 3, symbols: int = 12, mutated_share: float = 0.5
) -> Iterator[Outgoing]:
    """Yield messages, the same for the same arguments; about ``mutated_share`` of them mutated."""
    random_ = random.Random(seed)  # noqa: S311 - a test's input, repeatable by seed
    markets = [
        _Market(
            symbol=f"F{number:02d}-USD",
            partition=number % partitions,
            now_ns=START_NS + random_.randrange(60 * NS_PER_S),
            price=10.0 ** random_.uniform(-3, 5),
        )
        for number in range(symbols)
    ]
    other = b"{}"
    for _ in range(count):
        market = random_.choice(markets)
        good = _good(random_, market)
        value = good
        if random_.random() < mutated_share:
            value, tick = _mutated(random_, good, other)
            if tick is not None and tick.trade_id is not None and tick.trade_id < _FOLLOWED_ID:
                # Otherwise one leap of the ids would make all that follow duplicates.
                market.next_id = max(market.next_id, tick.trade_id)
        market.last = other = good
        # Now and then a clock of the broker's that runs behind, or none at all.
        behind_ms = random_.choice((*[-150] * 12, 0, 5_000, 6_000, 299_000, 301_000, 90_000_000))
        stamp = market.now_ns // 1_000_000 - behind_ms
        yield Outgoing(market.partition, market.symbol.encode(), value, stamp)


def _good(random_: random.Random, market: _Market) -> bytes:
    if market.last and random_.random() < 0.02:
        return market.last
    market.now_ns += int(random_.expovariate(2.0) * NS_PER_S)
    market.price *= 1.0 + random_.gauss(0.0, 2e-4)
    gap = random_.random() < 0.01
    # Half of the marks are those of a feed that starts again and has lost nothing.
    market.next_id += random_.randrange(2, 100) if gap and random_.random() < 0.5 else 1
    price = round(market.price, 6) or 1e-6
    half = price * random_.uniform(0, 3e-4)
    whole = random_.random() > 0.1
    ts_ns = market.now_ns
    if random_.random() < 0.01:
        ts_ns -= random_.randrange(90 * NS_PER_S)
    return _ENCODE(
        Tick(
            symbol=market.symbol,
            venue="fuzz",
            ts_event_ns=ts_ns,
            ts_recv_ns=ts_ns - random_.choice(_RECEIVED_BEFORE_NS) if whole else None,
            price=price,
            size=round(random_.expovariate(1.0), 5) if whole else None,
            side=random_.choice((-1, 0, 1)),
            bid=price - half if whole else None,
            ask=price + half if whole else None,
            bid_size=round(random_.expovariate(0.5), 4) if whole else None,
            ask_size=round(random_.expovariate(0.5), 4) if whole else None,
            trade_id=market.next_id if random_.random() > 0.05 else None,
            gap=gap,
        )
    )


def _mutated(random_: random.Random, good: bytes, other: bytes) -> tuple[bytes, Tick | None]:
    """Return a mutated message and, where it still is one, its tick."""
    value = mutated(random_, good, other)
    try:
        return value, _TICK.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return value, None
