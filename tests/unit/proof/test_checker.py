"""The checker can fail: every kind of corruption is found, and a clean history is clean."""

import dataclasses

import msgspec
import pytest

from tests.oracle.expectation import Expected
from tests.proof.checker import Outputs, check, check_same_bytes, count
from tests.unit.proof.corruptions import altered

LOGS = ("predictions", "features", "dead_letters")


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


@pytest.mark.parametrize(
    ("log", "key"), [("predictions", None), ("features", b"E"), ("dead_letters", b"S00-USD")]
)
def test_different_key_is_found(expected: Expected, outputs: Outputs, log: str, key) -> None:
    messages_ = getattr(outputs, log)
    messages_[7] = dataclasses.replace(messages_[7], key=key)
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
