"""Handing messages to a producer whose queue may be full."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka.client import ANY_PARTITION, produce_all
from tests.unit.connectors.kafka.fakes import FakeProducer

MESSAGES = [(b"k%d" % n, b"v%d" % n) for n in range(10)]


def never() -> None:
    message = "the queue was not full"
    raise AssertionError(message)


def queued(producer: FakeProducer) -> list[tuple[bytes | None, bytes]]:
    return [(key, value) for _topic, _partition, key, value in producer.open]


def test_messages_are_queued_in_one_call():
    producer = FakeProducer()
    produce_all(producer, "t", iter(MESSAGES), never)
    assert queued(producer) == MESSAGES
    assert producer.calls == ["produce_batch"]
    assert {entry[:2] for entry in producer.open} == {("t", ANY_PARTITION)}


def test_no_messages_are_no_call():
    producer = FakeProducer()
    produce_all(producer, "t", [], never)
    assert producer.calls == []


def test_a_full_queue_is_waited_for_in_order():
    producer = FakeProducer()
    producer.room = 3
    checks: list[int] = []

    def deliver() -> None:
        producer.room = 2

    producer.on_poll = deliver
    produce_all(producer, "t", MESSAGES, lambda: checks.append(1), 5)
    assert queued(producer) == MESSAGES
    assert len(checks) == 4


def test_waiting_ends_where_the_caller_says_so():
    producer = FakeProducer()
    producer.room = 0

    def give_up() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        produce_all(producer, "t", MESSAGES, give_up)


def test_a_message_that_is_refused_is_an_error():
    class Refusing(FakeProducer):
        def produce_batch(self, topic, messages, partition):
            messages[0]["_error"] = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            return len(messages) - 1

    with pytest.raises(KafkaException) as refused:
        produce_all(Refusing(), "t", MESSAGES, never)
    assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
