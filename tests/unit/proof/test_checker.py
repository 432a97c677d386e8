"""The checker can fail: every kind of planted defect is found, and a clean history is clean."""

import dataclasses
from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.features import NAMES
from schemas.predictions import FeatureRow, Prediction, TargetScore
from tests.proof.checker import Outputs, check, check_same_bytes, count, first_of_each
from tests.proof.inputs import messages
from tests.proof.scores import Store, check_scores
from tests.support.kafka_tools import Message
from tests.support.models import tiny
from tests.twin.expectation import Expected, expect

INPUTS = 600


@pytest.fixture(scope="module")
def expected() -> Expected:
    raw, ends = [], Counter()
    for each in islice(messages(5, 2), INPUTS):
        raw.append(
            Message(each.partition, ends[each.partition], each.timestamp_ms, each.key, each.value)
        )
        ends[each.partition] += 1
    return expect(raw)


SCORE = TargetScore(score=0.5, model="m", version="1", variant="logreg")


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
    for origin, letter in sorted(expected.letters.items()):
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


LOGS = ("predictions", "features", "dead_letters")


def altered(message: Message, **fields: object) -> Message:
    whole = msgspec.json.decode(message.value)
    return dataclasses.replace(message, value=msgspec.json.encode({**whole, **fields}))


def kinds(expected: Expected, outputs: Outputs) -> dict[str, int]:
    return {kind: number for kind, number in count(check(expected, outputs)).items() if number}


def test_clean_history_has_no_defect(expected: Expected, outputs: Outputs) -> None:
    assert list(check(expected, outputs)) == []


@pytest.mark.parametrize("log", LOGS)
def test_missing_output_is_found(expected: Expected, outputs: Outputs, log: str) -> None:
    del getattr(outputs, log)[3]
    assert kinds(expected, outputs) == {"missing": 1}


@pytest.mark.parametrize("log", LOGS)
def test_output_given_twice_is_found(expected: Expected, outputs: Outputs, log: str) -> None:
    messages_ = getattr(outputs, log)
    messages_.insert(4, messages_[3])
    messages_.append(messages_[0])
    assert kinds(expected, outputs) == {"twice": 2}


@pytest.mark.parametrize("log", LOGS)
def test_output_out_of_order_is_found(expected: Expected, outputs: Outputs, log: str) -> None:
    messages_ = getattr(outputs, log)
    messages_[1], messages_[2] = messages_[2], messages_[1]
    assert messages_[1].partition == messages_[2].partition
    assert kinds(expected, outputs) == {"out_of_order": 1}


@pytest.mark.parametrize("log", LOGS)
def test_output_in_wrong_partition_is_found(expected: Expected, outputs: Outputs, log: str) -> None:
    messages_ = getattr(outputs, log)
    moved = dataclasses.replace(messages_.pop(), partition=2)
    messages_.append(moved)
    assert kinds(expected, outputs) == {"wrong_partition": 1}


@pytest.mark.parametrize(
    ("log", "fields"),
    [
        ("predictions", {"price": 1.0}),
        ("predictions", {"mid": 1.0}),
        ("predictions", {"late": True}),
        ("predictions", {"ts_event_ns": 5}),
        ("predictions", {"trade_id": 5}),
        ("predictions", {"scores": {}}),
        ("predictions", {"symbol": "Z"}),
        ("features", {"warm": True}),
        ("features", {"feature_set": 9}),
        ("dead_letters", {"reason": "unscorable"}),
        ("dead_letters", {"payload": "aGk="}),
        ("dead_letters", {"topic": "elsewhere"}),
    ],
)
def test_different_field_is_found(expected: Expected, outputs: Outputs, log: str, fields) -> None:
    messages_ = getattr(outputs, log)
    messages_[0] = altered(messages_[0], **fields)
    assert count(check(expected, outputs))["different"] == 1


def test_different_key_is_found(expected: Expected, outputs: Outputs) -> None:
    outputs.predictions[7] = dataclasses.replace(outputs.predictions[7], key=None)
    assert kinds(expected, outputs) == {"different": 1}


def test_output_for_a_duplicate_is_found(expected: Expected, outputs: Outputs) -> None:
    partition, offset = next(iter(expected.duplicates))
    ghost = altered(outputs.predictions[0], partition=partition, offset=offset)
    outputs.predictions.append(ghost)
    assert kinds(expected, outputs) == {"different": 1}


def test_one_bit_of_a_feature_is_found(outputs: Outputs) -> None:
    reference = list(outputs.features)
    row = msgspec.json.decode(outputs.features[9].value)
    row["values"][5] += 1e-12
    outputs.features[9] = altered(outputs.features[9], values=row["values"])

    assert list(check_same_bytes(reference, reference)) == []
    [defect] = check_same_bytes(outputs.features, reference)
    assert "values[5]" in str(defect)


def test_score_of_another_model_is_found(outputs: Outputs, tmp_path: Path) -> None:
    manifest, graph = tiny(weight=0.5)
    ModelStore(tmp_path).publish(manifest, graph)
    store = Store(tmp_path)
    rows = [msgspec.json.decode(message.value)["values"] for message in outputs.features]
    scores = store.score(manifest.ref, np.array(rows, dtype=np.float32))
    said = [
        TargetScore(
            score=float(score),
            decision=bool(score >= manifest.threshold),
            model=manifest.name,
            version=manifest.version,
            variant=manifest.variant,
        )
        for score in scores
    ]
    predictions = [
        altered(message, scores={"volatility_spike": msgspec.to_builtins(each)})
        for message, each in zip(outputs.predictions, said, strict=True)
    ]
    assert list(check_scores(predictions, outputs.features, store)) == []

    wrong = [
        {"score": said[0].score + 2e-6},
        {"version": "20260101T000000Z-00000000"},
        {"decision": not said[2].decision},
        {"shadow": {"nobody@1": 0.5}},
    ]
    for index, fields in enumerate(wrong):
        score = {**msgspec.to_builtins(said[index]), **fields}
        predictions[index] = altered(predictions[index], scores={"volatility_spike": score})
    defects = list(check_scores(predictions, outputs.features, store))
    assert len(defects) == 4
    assert len(first_of_each(defects, most=2)) == 2
