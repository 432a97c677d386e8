"""What is said of a transaction whose messages were not delivered."""

import pytest
from confluent_kafka import KafkaError, Message

from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.refusals import Refusals

ABORTED = KafkaError(KafkaError._INCONSISTENT, "must be aborted", False, False, True)
TAKEN_BACK = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


def noted(*codes: int) -> Refusals:
    refusals = Refusals(Target({}, "group", "ticks.raw", 3, 300))
    for code in codes:
        refusals.note(KafkaError(code, "said so"), Message(topic="predictions"))
    return refusals


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "max.message.bytes"),
        (KafkaError.INVALID_TIMESTAMP, "clock"),
        (KafkaError.INVALID_RECORD, "message.timestamp"),
    ],
    ids=["size", "time", "record"],
)
def test_the_first_cause_is_named_with_its_topic_and_its_cure(code: int, cure: str):
    told = str(noted(code, KafkaError._MSG_TIMED_OUT, *TAKEN_BACK).of("commit", ABORTED))
    assert told.startswith("to predictions: said so; ")
    assert cure in told


def test_what_an_abort_takes_back_is_no_cause():
    assert str(noted(*TAKEN_BACK).of("commit", ABORTED)) == "must be aborted"


def test_an_aborted_transaction_says_nothing_of_the_next():
    refusals = noted(KafkaError.MSG_SIZE_TOO_LARGE)
    refusals.forget()
    assert str(refusals.of("commit", ABORTED)) == "must be aborted"
