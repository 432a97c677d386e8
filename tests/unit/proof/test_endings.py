"""A pipeline that a broker keeps waiting ends with a line that names cause and cure."""

import pytest
from confluent_kafka import KafkaError

from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.errors import BrokerError
from tests.unit.connectors.kafka.fakes import FakeProducer, failure

TARGET = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=300)


def ending(error: BaseException, count: int) -> str:
    producer = FakeProducer(init_transactions=[error] * count)
    with pytest.raises(BrokerError) as ended:
        TransactionalWriter(TARGET, producer).take_over()
    return str(ended.value)


def test_broker_that_keeps_it_waiting_is_to_be_looked_after() -> None:
    said = ending(failure(KafkaError._TIMED_OUT, retriable=True), 10_000)
    assert said.startswith("partition 3 of ticks.raw: cannot take over: said so")
    assert "kept it waiting for 0.3 s" in said
    assert "start this again" in said


def test_refusal_is_told_with_what_is_to_be_allowed() -> None:
    said = ending(failure(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1)
    assert said.startswith("partition 3 of ticks.raw: cannot take over: said so; allow ")
    assert "group-0" in said
