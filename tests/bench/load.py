"""Simulated ticks as messages ready to be produced."""

from collections.abc import Iterator

import msgspec

from flows.feeds.simulate import Market, symbol_names

START_NS = 1_700_000_000_000_000_000
RATE_HZ = 5_000.0
CHUNK_S = 4
SEED = 11


def simulated_messages(
    tick_count: int, symbol_count: int, rate_hz: float = RATE_HZ
) -> Iterator[list[dict[str, bytes]]]:
    """Yield batches of ``{"key", "value"}``, ``tick_count`` in all.

    At 5,000 ticks/s of event time a 300 s window holds 1.5 million ticks: the windows are as full
    as the busiest markets make them.
    """
    market = Market(symbol_names(symbol_count), rate_hz=rate_hz, seed=SEED, start_ns=START_NS)
    encode = msgspec.json.Encoder().encode
    left = tick_count
    while left > 0:
        ticks = market.ticks(market.advance(CHUNK_S))[:left]
        yield [{"key": tick.symbol.encode(), "value": encode(tick)} for tick in ticks]
        left -= len(ticks)
