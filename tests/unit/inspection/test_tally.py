"""What is counted of each topic, and what of it is wrong."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.inspection.contracts import contract_of
from flows.inspection.findings import CheckReport, report_of
from flows.inspection.tally import Tally
from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.features import FEATURE_SET, FEATURES
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle, Tick

START_NS = 1_750_000_000_000_000_000
NOW_NS = START_NS + 100 * NS_PER_S


def tally_of(topic: str) -> Tally:
    contract = contract_of(topic)
    assert contract is not None
    return Tally(contract)


def batch(*values: object, partition: int = 0, first: int = 0) -> RawBatch:
    raw = [each if isinstance(each, bytes) else msgspec.json.encode(each) for each in values]
    offsets = list(range(first, first + len(raw)))
    stamps = [START_NS // NS_PER_MS + 7_200_000] * len(raw)
    return RawBatch(partition, raw, offsets, stamps, first + len(raw))


def report(tally: Tally, topic: str = topics.TICKS_RAW, **options: bool) -> CheckReport:
    chosen: dict[str, bool] = {"live": True, "strict": False, **options}
    return report_of(topic, tally, 2.0, NOW_NS, {"voltick": {0: 3, 1: 4}}, **chosen)


def tick(seconds: float, **changes: Any) -> Tick:
    values = {"symbol": "BTC-USD", "venue": "test", "price": 100.0, **changes}
    return Tick(ts_event_ns=START_NS + int(seconds * NS_PER_S), **values)


def test_rate_sizes_lag_and_symbols_are_told() -> None:
    tally = tally_of(topics.TICKS_RAW)
    first = batch(tick(0, trade_id=1), tick(1, trade_id=2), tick(2, symbol="ETH-USD"))
    tally.add(first, NOW_NS)
    told = report(tally)
    assert told.ok
    assert told.wrong == told.notes == []
    assert (told.messages, told.rate_hz, told.symbols) == (3, 1.5, 2)
    sizes = np.array([len(value) for value in first.values])
    assert told.size_bytes.most == sizes.max()
    assert told.bytes_per_s == sizes.sum() / 2
    assert told.event_lag_ms.least == 98_000.0
    assert told.event_lag_ms.most == 100_000.0
    assert told.newest_age_ms == 98_000.0
    [group] = told.groups
    assert (group.group, group.messages) == ("voltick", 7)
    [btc, eth] = told.series
    assert (btc.symbol, btc.messages, btc.newest) == ("BTC-USD", 2, "2025-06-15T15:06:41Z")
    assert (eth.symbol, eth.rate_hz) == ("ETH-USD", 0.5)


def test_late_jumping_repeated_and_missing_ticks_are_notes_and_wrong_where_strict() -> None:
    tally = tally_of(topics.TICKS_RAW)
    tally.add(
        batch(
            tick(100, trade_id=5),
            tick(99, trade_id=6),  # late
            tick(101, trade_id=6),  # a repeat
            tick(102, trade_id=9, gap=True),
            tick(30, trade_id=1),  # a jump back, after which ids may begin anew
            tick(31, trade_id=2),
            tick(31 + 3_601, trade_id=3),  # a jump ahead
        ),
        NOW_NS,
    )
    told = report(tally)
    assert (told.late, told.restarts, told.gaps, told.duplicates) == (1, 2, 1, 1)
    assert told.ok
    assert told.notes == [
        "1 gaps",
        "1 late messages",
        "2 jumps of a symbol's time",
        "1 duplicates, which those who read drop",
    ]
    strict = report(tally, strict=True)
    assert not strict.ok
    assert strict.wrong == told.notes


def test_what_is_no_tick_is_told_by_reason_with_the_first_examples() -> None:
    tally = tally_of(topics.TICKS_RAW)
    bad = tick(1, price=-1.0)
    tally.add(batch(b"{", b"", tick(0), bad, bad, bad, bad, b'{"symbol":"X"}', first=40), NOW_NS)
    told = report(tally)
    assert not told.ok
    assert [(each.reason, each.count) for each in told.errors] == [
        ("bad_price", 4),
        ("not_json", 2),
        ("missing_field", 1),
    ]
    assert [example["offset"] for example in told.errors[0].examples] == [43, 44, 45]
    assert "price is -1.0" in told.errors[0].examples[0]["detail"]
    assert told.wrong[0] == "4 messages are none of the topic's: bad_price"


def test_a_symbol_in_two_partitions_is_wrong() -> None:
    tally = tally_of(topics.TICKS_RAW)
    tally.add(batch(tick(0), partition=0), NOW_NS)
    tally.add(batch(tick(1), partition=1), NOW_NS)
    assert report(tally).wrong == ["messages of one symbol lie in several partitions: BTC-USD test"]


@pytest.mark.parametrize("topic", [*topics.ALL, topics.REDRIVEN])
def test_silence_is_wrong_where_a_running_system_always_has_something_to_say(topic: str) -> None:
    dead = topic in (topics.DEAD_LETTERS, topics.REDRIVEN)
    assert report(tally_of(topic), topic).ok is dead
    assert report(tally_of(topic), topic, live=False).ok


def test_another_topic_has_no_contract() -> None:
    assert contract_of("orders") is None


def prediction(offset: int, partition: int = 0, score: float = 0.5) -> Prediction:
    target = TargetScore(score=score, model="m", version="1", variant="v")
    return Prediction(
        symbol="BTC-USD",
        venue="test",
        ts_event_ns=START_NS + offset * NS_PER_S,
        trade_id=None,
        price=1.0,
        mid=1.0,
        warm=True,
        late=False,
        gap=False,
        scores={"volatility_spike": target},
        feature_set=FEATURE_SET,
        ts_scored_ns=START_NS,
        partition=partition,
        offset=offset,
    )


def row(offset: int, values: int = len(FEATURES), partition: int = 0) -> FeatureRow:
    return FeatureRow(
        symbol="BTC-USD",
        venue="test",
        ts_event_ns=START_NS + offset * NS_PER_S,
        feature_set=FEATURE_SET,
        warm=True,
        values=[0.0] * values,
        partition=partition,
        offset=offset,
    )


def outcome(offset: int, partition: int = 0) -> Outcome:
    score = OutcomeScore(score=0.5, model="m", version="1", variant="v", truth=1.0, value=1.0)
    return Outcome(
        symbol="BTC-USD",
        venue="test",
        ts_event_ns=START_NS + offset * NS_PER_S,
        ts_known_ns=START_NS,
        scores={"volatility_spike": score},
        feature_set=FEATURE_SET,
        partition=partition,
        offset=offset,
        known_offset=offset,
    )


def candle(minute: int, interval_s: int = 60, **changes: Any) -> Candle:
    prices = {"open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, **changes}
    first_ns = START_NS // (60 * NS_PER_S) * 60 * NS_PER_S
    return Candle(
        symbol="BTC-USD",
        venue="test",
        ts_open_ns=first_ns + minute * interval_s * NS_PER_S,
        interval_s=interval_s,
        tick_count=1,
        **prices,
    )


@pytest.mark.parametrize(
    ("topic", "good", "bad", "reason"),
    [
        (topics.PREDICTIONS, prediction(1), prediction(2, partition=1), "wrong_partition"),
        (topics.TICKS_FEATURES, row(1), row(2, values=3), "wrong_length"),
        (topics.OUTCOMES, outcome(1), outcome(2, partition=7), "wrong_partition"),
        (topics.CANDLES, candle(1), candle(2, low=9.0), "bad_price"),
        (topics.CANDLES, candle(1), candle(2, interval_s=7), "wrong_time"),
        (
            topics.DEAD_LETTERS,
            DeadLetter(reason=Reason.NOT_JSON, detail="d", payload=b""),
            [1],
            "wrong_type",
        ),
        (topics.REDRIVEN, b"0-12", b"twelve", "wrong_id"),
        (topics.PREDICTIONS, prediction(1), b'{"symbol":"X"}', "missing_field"),
        (topics.OUTCOMES, outcome(1), b"\xff", "not_json"),
        (topics.CANDLES, candle(1), b"", "not_json"),
    ],
    ids=[
        *("lineage", "length", "outcome", "candle-prices", "candle-time", "dead-letter", "id"),
        *("missing", "bytes", "tombstone"),
    ],
)
def test_every_topic_is_held_to_its_contract(
    topic: str, good: object, bad: object, reason: str
) -> None:
    tally = tally_of(topic)
    tally.add(batch(good), NOW_NS)
    assert report(tally, topic).ok
    tally.add(batch(bad, first=1), NOW_NS)
    told = report(tally, topic)
    assert [each.reason for each in told.errors] == [reason]
    assert told.errors[0].examples[0]["offset"] == 1
    assert not told.ok


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (topics.PREDICTIONS, prediction(1)),
        (topics.TICKS_FEATURES, row(1)),
        (topics.OUTCOMES, outcome(1)),
        (topics.CANDLES, candle(1)),
        (topics.REDRIVEN, b"0-12"),
    ],
    ids=["predictions", "features", "outcomes", "candles", "redriven"],
)
def test_a_message_that_is_there_twice_is_wrong(topic: str, message: object) -> None:
    tally = tally_of(topic)
    tally.add(batch(message), NOW_NS)
    tally.add(batch(message, first=9), NOW_NS)
    told = report(tally, topic)
    assert told.duplicates == 1
    assert told.wrong == ["1 messages are there twice"]


def test_candles_of_two_intervals_are_two_series() -> None:
    tally = tally_of(topics.CANDLES)
    tally.add(batch(candle(2), candle(1, interval_s=1), candle(3), candle(2, interval_s=1)), NOW_NS)
    told = report(tally, topics.CANDLES)
    assert told.ok
    assert told.late == told.restarts == 0
    assert sorted(each.interval or "" for each in told.series) == ["1 s", "60 s"]
    assert told.symbols == 1


def test_dead_letters_are_counted_by_their_reason() -> None:
    tally = tally_of(topics.DEAD_LETTERS)
    letters = [
        DeadLetter(reason=Reason.NOT_JSON, detail="d", payload=b""),
        DeadLetter(reason=Reason.BAD_PRICE, detail="d", payload=b""),
    ]
    tally.add(batch(*letters, letters[0]), NOW_NS)
    told = report(tally, topics.DEAD_LETTERS)
    assert told.ok
    assert told.labels == {"not_json": 2, "bad_price": 1}


def test_the_report_is_json() -> None:
    tally = tally_of(topics.TICKS_RAW)
    tally.add(batch(tick(0), b"{"), NOW_NS)
    told = json.loads(msgspec.json.encode(report(tally)))
    assert told["ok"] is False
    assert told["groups"] == [{"group": "voltick", "messages": 7, "by_partition": {"0": 3, "1": 4}}]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                lambda s, n: msgspec.json.encode(tick(s, trade_id=n)),
                st.integers(0, 90),
                st.integers(0, 9),
            ),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 7),
    st.sampled_from([*topics.ALL, topics.REDRIVEN]),
)
def test_every_message_is_counted_once_however_batches_are_cut(
    values: list[bytes], size: int, topic: str
) -> None:
    whole, cut = tally_of(topic), tally_of(topic)
    whole.add(batch(*values), NOW_NS)
    for first in range(0, len(values), size):
        cut.add(batch(*values[first : first + size], first=first), NOW_NS)
    one, other = (report(each, topic) for each in (whole, cut))
    assert one == other
    assert one.messages == len(values)
    counted = sum(each.messages for each in one.series) + sum(each.count for each in one.errors)
    if topic == topics.TICKS_RAW:
        assert counted == len(values)
