"""Candles of recordings, made by hand and real: those of the definition, whatever the batches."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.monitoring.candle_metrics import CandleMetrics
from flows.numeric.time import NS_PER_MS, NS_PER_S
from flows.stages.candle_builder import GRACE_NS, IDLE_MS, INTERVALS_S
from flows.stages.candles import CandleStage, candle_ticks
from schemas import topics
from schemas.ticks import Candle, Tick
from tests.oracle import candles as oracle
from tests.proof.captures import messages_of
from tests.support.captures import capture

BY_HAND = sorted((Path(__file__).parents[2] / "data").glob("*.frames.ndjson"))
REAL = (
    "binance_btcusdt_20240808_11min",
    "coinbase-advanced_btc_20251201_10min",
    "coinbase-exchange_10pairs_20210417_31s",
    "coinbase-exchange_btc_20251112_165s",
)


def raw_of(values: list[bytes], first: int = 0) -> RawBatch:
    """Return messages as a batch; the log's clock is that of the ticks."""
    times = [msgspec.json.decode(value, type=Tick).ts_event_ns // NS_PER_MS for value in values]
    offsets = list(range(first, first + len(values)))
    return RawBatch(0, values, offsets, times, first + len(values))


def made(values: list[bytes], seed: int) -> list[tuple[Any, ...]]:
    """Return the candles of the stage, from batches of any size."""
    rng = random.Random(seed)  # noqa: S311 - repeatable
    stage = CandleStage(frozenset(), CandleMetrics())
    found: list[tuple[Any, ...]] = []
    at = 0
    while at < len(values):
        some = values[at : at + rng.choice((1, 7, 100, 1_000))]
        _key, out = stage(raw_of(some, at))
        at += len(some)
        for value in (value for records in out.records for value in records.values):
            one = msgspec.json.decode(value, type=Candle)
            found.append(
                (
                    *(one.closed_offset, (one.venue, one.symbol), one.interval_s, one.ts_open_ns),
                    *(one.open, one.high, one.low, one.close, one.tick_count),
                    *(one.volume, one.vwap, one.gap),
                )
            )
    return found


def defined(values: list[bytes]) -> list[tuple[Any, ...]]:
    """Return the candles that the definition makes of the same log."""
    raw, symbols = raw_of(values), SymbolTable()
    ticks, dead = decode(raw, symbols, topics.TICKS_RAW, frozenset())
    assert not dead
    log = candle_ticks(raw, ticks, FeatureState().update(ticks), symbols)
    found: list[tuple[Any, ...]]
    found, _late = oracle.candles(log, GRACE_NS // NS_PER_S, IDLE_MS, INTERVALS_S)
    return found


@pytest.mark.parametrize("path", BY_HAND, ids=lambda path: path.name.partition(".")[0])
def test_candles_of_a_recording_made_by_hand(path: Path) -> None:
    values = list(messages_of(path))
    assert values
    assert made(values, seed=1) == defined(values)


@pytest.mark.parametrize("name", REAL)
def test_candles_of_a_real_recording(name: str) -> None:
    values = list(messages_of(capture(name)))
    expected = defined(values)
    assert expected
    assert made(values, seed=2) == expected
