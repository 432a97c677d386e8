"""What a batch shows as the newest of each symbol."""

from pathlib import Path

import msgspec

from flows.codec.batch import RawBatch
from flows.monitoring.metrics import PipelineMetrics
from flows.numeric.time import NS_PER_S
from flows.stages.score import DecodeStep, EncodeStep, FeatureStep, ScoreStep
from schemas.predictions import FeatureRow, Prediction
from schemas.ticks import Tick
from tests.fuzz.chain import Chain, baseline_scorer

START_NS = 1_700_000_000_000_000_000


def raw(ticks: list[Tick], first: int = 0) -> RawBatch:
    offsets = list(range(first, first + len(ticks)))
    values = [msgspec.json.encode(tick) for tick in ticks]
    return RawBatch(0, values, offsets, [START_NS // 1_000_000] * len(ticks), offsets[-1] + 1)


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


def test_numbers_of_symbols_may_stand_for_others_while_older_batches_are_on_their_way(
    tmp_path: Path,
) -> None:
    metrics = PipelineMetrics()
    decode = DecodeStep("ticks.raw", frozenset(), metrics, max_symbols=3)
    features = FeatureStep(metrics, max_symbols=3)
    score = ScoreStep(baseline_scorer(tmp_path), metrics)
    encode = EncodeStep("ticks.raw", metrics, publish_features=True)
    made = [tick(f"S{number % 40}-USD", "v", number) for number in range(200)]
    batches = [raw(made[start : start + 8], start) for start in range(0, 200, 8)]
    decoded = [decode(batch) for batch in batches]
    outputs = [encode(score(features(each)))[1] for each in decoded]
    for topic, kind in (("predictions", Prediction), ("ticks.features", FeatureRow)):
        rows = [
            (offset, key, msgspec.json.decode(value, type=kind))
            for output in outputs
            for records in output.records
            if records.topic == topic
            for offset, key, value in zip(
                records.offsets, records.keys, records.values, strict=True
            )
        ]
        assert [(offset, key, row.symbol, row.ts_event_ns) for offset, key, row in rows] == [
            (at, each.symbol.encode(), each.symbol, each.ts_event_ns)
            for at, each in enumerate(made)
        ]
    assert len(decoded[-1].symbols.names) <= 2 * 3 + 8 + 1
    [crowded_out] = metrics.crowded_out.collect()[0].samples[:1]
    assert crowded_out.value == 200 - 3
