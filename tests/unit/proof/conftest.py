"""A history of some messages, as the oracle expects it and as it lies on the topics."""

from collections import Counter
from itertools import islice

import msgspec
import pytest

from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.features import NAMES
from schemas.predictions import FeatureRow, Prediction, TargetScore
from tests.oracle.expectation import Expected, expect
from tests.proof.checker import Outputs
from tests.proof.inputs import messages
from tests.support.kafka.tools import Message

INPUTS = 600
SCORE = TargetScore(score=0.5, model="m", version="1", variant="logreg")


@pytest.fixture(scope="module")
def expected() -> Expected:
    raw, ends = [], Counter()
    for each in islice(messages(5, 2), INPUTS):
        raw.append(
            Message(each.partition, ends[each.partition], each.timestamp_ms, each.key, each.value)
        )
        ends[each.partition] += 1
    return expect(raw)


@pytest.fixture
def outputs(expected: Expected) -> Outputs:
    made = Outputs()
    ends: Counter[tuple[str, int]] = Counter()

    def put(log: list[Message], topic: str, partition: int, key: bytes | None, value) -> None:
        place = ends[topic, partition]
        ends[topic, partition] += 1
        log.append(Message(partition, place, 1, key, msgspec.json.encode(value)))

    for origin, row in sorted(expected.rows.items()):
        partition = origin[0]
        prediction = Prediction(
            **row.prediction_fields(origin), scores={"volatility_spike": SCORE}, ts_scored_ns=1
        )
        put(made.predictions, "p", partition, row.key, prediction)
        values = [0.1 * index for index in range(len(NAMES))]
        put(
            made.features,
            "f",
            partition,
            row.key,
            FeatureRow(**row.feature_fields(origin), values=values),
        )
    for origin, letter in sorted(expected.dead_letters.items()):
        dead = DeadLetter(
            reason=min(letter.reasons),
            detail="d",
            payload=letter.payload,
            topic=topics.TICKS_RAW,
            partition=origin[0],
            offset=origin[1],
        )
        put(made.dead_letters, "d", origin[0], None, dead)
    return made
