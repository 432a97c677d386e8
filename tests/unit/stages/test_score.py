"""What a batch shows as the newest of each symbol."""

import threading
import weakref
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.monitoring.metrics import PipelineMetrics
from flows.numeric.time import NS_PER_S
from flows.stages import encode
from flows.stages.encode import PASSED_EVERY_NS, EncodeStep, passed_rows
from flows.stages.score import DecodeStep, FeatureStep, ScoreStep
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


def test_two_threads_never_make_an_ownerships_predictions_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = PipelineMetrics()
    decode, features = DecodeStep("ticks.raw", frozenset(), metrics), FeatureStep(metrics)
    score = ScoreStep(baseline_scorer(tmp_path), metrics)
    encode_step = EncodeStep("ticks.raw", metrics, publish_features=False)
    batches = [
        encode_step(score(features(decode(raw([tick("BTC-USD", "binance", at)], at)))))[1]
        for at in (1, 2)
    ]
    began, goes_on = threading.Event(), threading.Event()
    at_once: list[int] = []
    inside = 0

    def slow(*_arguments: object) -> list[bytes]:
        nonlocal inside
        inside += 1
        at_once.append(inside)
        began.set()
        goes_on.wait(10)
        inside -= 1
        return [b"{}"]

    monkeypatch.setattr(encode, "predictions", slow)
    threads = [threading.Thread(target=each.completed) for each in batches]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    threads[1].join(0.05)
    goes_on.set()
    for thread in threads:
        thread.join(10)
    assert at_once == [1, 1]


def test_what_waits_to_be_written_does_not_hold_the_features(tmp_path: Path) -> None:
    metrics = PipelineMetrics()
    decode, features = DecodeStep("ticks.raw", frozenset(), metrics), FeatureStep(metrics)
    score = ScoreStep(baseline_scorer(tmp_path), metrics)
    encode_step = EncodeStep("ticks.raw", metrics, publish_features=True)
    featured = features(decode(raw([tick("BTC-USD", "binance", 1)])))
    large = [weakref.ref(featured.features.values64), weakref.ref(featured.features.values)]
    waiting = encode_step(score(featured))[1]
    del featured
    assert [each() is None for each in large] == [True, True]
    assert [len(records) for records in waiting.completed().records] == [1, 1]


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
    outputs = [encode(score(features(each)))[1].completed() for each in decoded]
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


def test_a_batch_that_spans_minutes_leaves_a_history_of_what_it_passed(tmp_path: Path) -> None:
    ticks = [tick("BTC-USD", "binance", number) for number in range(60)]
    ticks += [tick("ETH-USD", "binance", number) for number in range(30, 60)]
    made = Chain(baseline_scorer(tmp_path)).run(raw(ticks))
    passed = [
        (each.symbol, msgspec.json.decode(each.message, type=Prediction).ts_event_ns)
        for each in made.passed
    ]
    # START_NS is a multiple of five seconds.
    assert passed == [
        *[("BTC-USD", START_NS + number * NS_PER_S) for number in range(0, 60, 5)],
        *[("ETH-USD", START_NS + number * NS_PER_S) for number in range(30, 60, 5)],
    ]
    assert [each.offset for each in made.since(20).passed] == [
        each.offset for each in made.passed if each.offset >= 20
    ]


def test_a_batch_of_a_moment_passes_nothing(tmp_path: Path) -> None:
    made = Chain(baseline_scorer(tmp_path)).run(raw([tick("A-B", "binance", n) for n in range(9)]))
    assert made.passed == []
    assert len(made.latest) == 1


symbols_and_times = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60 * NS_PER_S)), min_size=1, max_size=60
)


@given(symbols_and_times)
def test_what_a_batch_passed_is_what_a_walk_over_it_finds(rows: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in rows], np.int32)
    times = np.array([time for _, time in rows], np.int64)
    step_of: dict[int, int] = {}
    last = {symbol: at for at, (symbol, _) in enumerate(rows)}
    expected = []
    for at, (symbol, time) in enumerate(rows):
        step = time // PASSED_EVERY_NS
        if step_of.get(symbol) != step and last[symbol] != at:
            expected.append(at)
        step_of[symbol] = step
    spans = max(times) - min(times) >= 2 * PASSED_EVERY_NS
    assert passed_rows(symbols, times).tolist() == (expected if spans else [])


def test_what_is_followed_is_counted_apart_and_led_to_no_output(tmp_path: Path) -> None:
    metrics = PipelineMetrics()
    decode, features = DecodeStep("ticks.raw", frozenset(), metrics), FeatureStep(metrics)
    score = ScoreStep(baseline_scorer(tmp_path), metrics)
    encode = EncodeStep("ticks.raw", metrics, publish_features=True)
    batch = raw([tick("BTC-USD", "v", number) for number in range(5)])
    followed = replace(batch, emit=False, standby=True, epoch=4)
    _key, output = encode(score(features(decode(followed))))
    assert (output.records, output.latest, output.emit, output.epoch) == ([], [], False, 4)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name)

    assert value("voltick_standby_ticks_total") == 5
    assert (value("voltick_ticks_total"), value("voltick_rebuilt_ticks_total")) == (0, 0)
