"""Messages of a small archive, kept to compare with what comes back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.numeric.time import NS_PER_DAY, NS_PER_S
from schemas import topics
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle, Tick

START_NS = 20_000 * NS_PER_DAY
STEP_NS = 600 * NS_PER_S
SYMBOLS = ("BTC-USD", "A/B %")


def tick(number: int, symbol: str) -> Tick:
    return Tick(
        symbol=symbol,
        venue=("one", "two")[number % 2],
        ts_event_ns=START_NS + number * STEP_NS + 1,
        ts_recv_ns=None if number % 3 else START_NS + number * STEP_NS + 7,
        price=100.1 + number,
        size=None if number % 4 else 0.1,
        side=(-1, 0, 1)[number % 3],
        bid=100.0 + number,
        ask=100.2 + number,
        # Beyond what a float64 can tell apart.
        trade_id=None if number % 5 == 0 else 2**60 + number,
        gap=number % 7 == 0,
    )


def feature_row(number: int, symbol: str) -> FeatureRow:
    values = np.linspace(0.1, number + 1, len(NAMES), dtype=np.float32).tolist()
    return FeatureRow(
        symbol=symbol,
        venue="one",
        ts_event_ns=START_NS + number * STEP_NS,
        feature_set=FEATURE_SET if number % 10 else FEATURE_SET + 1,
        warm=True,
        values=[None if (number + at) % 6 == 0 else value for at, value in enumerate(values)],
        partition=0,
        offset=number,
    )


def prediction(number: int, symbol: str) -> Prediction:
    named = {"model": "m", "version": "1", "variant": "v"}
    return Prediction(
        symbol=symbol,
        venue="one",
        ts_event_ns=START_NS + number * STEP_NS,
        trade_id=number or None,
        price=1.5,
        mid=1.25,
        warm=True,
        late=False,
        gap=False,
        scores={
            "volatility_spike": TargetScore(
                score=0.1 + number, decision=True, shadow={"x@1": 0.3}, **named
            ),
            "forward_return": TargetScore(score=0.2, **named),
        },
        feature_set=FEATURE_SET,
        ts_scored_ns=5,
        partition=0,
        offset=number,
    )


def outcome(number: int, symbol: str) -> Outcome:
    named = {"model": "m", "version": "1", "variant": "v"}
    return Outcome(
        symbol=symbol,
        venue="one",
        ts_event_ns=START_NS + number * STEP_NS,
        ts_known_ns=START_NS,
        scores={"volatility_spike": OutcomeScore(score=0.1, truth=1.0, value=0.5, **named)},
        feature_set=FEATURE_SET,
        partition=0,
        offset=number,
        known_offset=number + 1,
    )


def candle(number: int, symbol: str) -> Candle:
    interval_s = (1, 60)[number % 2]
    return Candle(
        symbol=symbol,
        venue="one",
        ts_open_ns=START_NS + number * 60 * NS_PER_S,
        interval_s=interval_s,
        open=1.0,
        high=2.0 + number,
        low=0.5,
        close=1.5,
        tick_count=3,
        volume=None if number % 3 else 4.0,
        gap=number % 7 == 0,
    )


def _each(make: Any, count: int) -> Mapping[int, Sequence[Any]]:
    return {
        partition: [make(number, symbol) for number in range(count)]
        for partition, symbol in enumerate(SYMBOLS)
    }


MESSAGES: Mapping[str, Mapping[int, Sequence[Any]]] = {
    topics.TICKS_RAW: _each(tick, 300),
    topics.TICKS_FEATURES: _each(feature_row, 40),
    topics.PREDICTIONS: _each(prediction, 30),
    topics.OUTCOMES: _each(outcome, 30),
    topics.CANDLES: _each(candle, 90),
}


def messages(topic: str) -> list[tuple[int, int, Any]]:
    """Return partition, offset and message of all that was written, in the order of the log."""
    return [
        (partition, offset, message)
        for partition, some in sorted(MESSAGES[topic].items())
        for offset, message in enumerate(some)
    ]
