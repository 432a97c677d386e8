"""What a batch shows as the newest of each symbol."""

from pathlib import Path

import msgspec

from flows.codec.batch import RawBatch
from flows.numeric.time import NS_PER_S
from schemas.predictions import Prediction
from schemas.ticks import Tick
from tests.fuzz.chain import Chain, baseline_scorer

START_NS = 1_700_000_000_000_000_000


def raw(ticks: list[Tick]) -> RawBatch:
    offsets = list(range(len(ticks)))
    values = [msgspec.json.encode(tick) for tick in ticks]
    return RawBatch(0, values, offsets, [START_NS // 1_000_000] * len(ticks), len(ticks))


def tick(symbol: str, venue: str, number: int) -> Tick:
    at_ns = START_NS + number * NS_PER_S
    return Tick(
        venue=venue,
        symbol=symbol,
        ts_event_ns=at_ns,
        trade_id=number,
        price=10.0,
    )


def test_the_last_tick_of_a_symbol_is_shown_whichever_venue_it_is_of(tmp_path: Path) -> None:
    ticks = [
        tick("BTC-USD", "binance", 1),
        tick("ETH-USD", "binance", 2),
        tick("BTC-USD", "coinbase-exchange", 3),
        tick("BTC-USD", "binance", 4),
    ]
    made = Chain(baseline_scorer(tmp_path)).run(raw(ticks))
    shown = {
        each.symbol: msgspec.json.decode(each.message, type=Prediction) for each in made.latest
    }
    assert len(made.latest) == 2
    assert (shown["BTC-USD"].venue, shown["BTC-USD"].offset) == ("binance", 3)
    assert (shown["ETH-USD"].venue, shown["ETH-USD"].offset) == ("binance", 1)
