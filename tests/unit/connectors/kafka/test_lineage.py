"""Which input an output names, and whether it is the one that is there."""

import msgspec
import pytest

from flows.connectors.kafka.lineage import (
    CANDLES_OUTPUTS,
    OUTCOMES_OUTPUTS,
    PIPELINE_OUTPUTS,
    main_output,
    origin_of_candle,
    origin_of_dead_letter,
    origin_of_outcome,
    origin_of_scored,
)
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.predictions import FeatureRow, Outcome, Prediction
from schemas.ticks import Tick

AT_NS = 1_750_000_000_000_000_000
TICK = Tick(symbol="BTC-USD", venue="v", ts_event_ns=AT_NS, price=1.0)
PREDICTION = Prediction(
    symbol="BTC-USD",
    venue="v",
    ts_event_ns=AT_NS,
    trade_id=None,
    price=1.0,
    mid=1.0,
    warm=True,
    late=False,
    gap=False,
    scores={},
    feature_set=1,
    ts_scored_ns=5,
    partition=3,
    offset=17,
)
ROW = FeatureRow(
    symbol="BTC-USD",
    venue="v",
    ts_event_ns=AT_NS,
    feature_set=1,
    warm=True,
    values=[None],
    partition=3,
    offset=17,
)
OUTCOME = Outcome(
    symbol="BTC-USD",
    venue="v",
    ts_event_ns=AT_NS,
    ts_known_ns=AT_NS + 60,
    scores={},
    feature_set=1,
    partition=3,
    offset=17,
    known_offset=99,
)


def encoded(message: msgspec.Struct, **changes: object) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(message, **changes))


def letter(payload: bytes, **changes: object) -> bytes:
    plain = DeadLetter(
        reason=Reason.NOT_JSON,
        detail="",
        payload=payload,
        topic=topics.TICKS_RAW,
        partition=3,
        offset=17,
    )
    return encoded(plain, **changes)


@pytest.mark.parametrize("message", [PREDICTION, ROW], ids=["prediction", "feature row"])
def test_a_scored_tick_is_found_by_symbol_venue_and_time(message: msgspec.Struct):
    origin = origin_of_scored(encoded(message))
    assert origin is not None
    assert (origin.partition, origin.offset) == (3, 17)
    assert origin.is_from(encoded(TICK))
    for other in ({"symbol": "ETH-USD"}, {"venue": "w"}, {"ts_event_ns": AT_NS + 1}):
        assert not origin.is_from(encoded(TICK, **other))
    assert not origin.is_from(b"\xff")


def test_a_dead_letter_is_found_by_its_bytes():
    origin = origin_of_dead_letter(letter(b"\xffbroken"))
    assert origin is not None
    assert (origin.partition, origin.offset) == (3, 17)
    assert origin.is_from(b"\xffbroken")
    assert origin.is_from(b"\xffbroken and longer than the topic takes")
    assert not origin.is_from(b"other")


def test_a_dead_letter_of_a_feed_has_no_origin():
    assert origin_of_dead_letter(letter(b"x", topic=None, partition=None, offset=None)) is None
    assert origin_of_dead_letter(letter(b"x", topic="another")) is None
    assert origin_of_dead_letter(letter(b"x", offset=-1)) is None


def test_an_outcome_is_found_by_the_prediction_that_made_it_known():
    origin = origin_of_outcome(encoded(OUTCOME))
    assert origin is not None
    assert (origin.partition, origin.offset) == (3, 99)
    assert origin.is_from(encoded(PREDICTION, ts_event_ns=AT_NS + 60))
    assert origin.is_from(encoded(PREDICTION, ts_event_ns=AT_NS + 55))  # late
    assert not origin.is_from(encoded(PREDICTION, ts_event_ns=AT_NS + 61))
    assert not origin.is_from(b"{}")


def test_a_candle_is_found_by_the_tick_that_closed_it():
    candle = {"symbol": "BTC-USD", "partition": 3, "closed_offset": 17}
    origin = origin_of_candle(msgspec.json.encode(candle))
    assert origin is not None
    assert (origin.partition, origin.offset) == (3, 17)
    assert origin.is_from(encoded(TICK, symbol="ETH-USD"))
    assert not origin.is_from(b"\xff")
    assert origin_of_candle(msgspec.json.encode({**candle, "closed_offset": None})) is None


FOREIGN = {
    "nothing": b"",
    "no UTF-8": b'{"symbol":"\xff"}',
    "nested": b"[" * 100_000,
    "another message": b"{}",
    "too large a number": encoded(PREDICTION).replace(b'"offset":17', b'"offset":1e400'),
    "a negative offset": encoded(PREDICTION, offset=-1),
}


READERS = [origin_of_scored, origin_of_dead_letter, origin_of_outcome, origin_of_candle]


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("read", READERS)
def test_foreign_bytes_have_no_origin(read, kind: str):
    assert read(FOREIGN[kind]) is None


def test_every_flow_has_one_main_output():
    assert main_output(PIPELINE_OUTPUTS) == topics.PREDICTIONS
    assert main_output(OUTCOMES_OUTPUTS) == topics.OUTCOMES
    assert main_output(CANDLES_OUTPUTS) == topics.CANDLES
    assert main_output(()) is None
