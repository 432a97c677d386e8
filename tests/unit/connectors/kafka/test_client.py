"""What all clients share: a queue that may be full, errors that are logged and told."""

from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka import client, producer
from flows.connectors.kafka.client import (
    ANY_PARTITION,
    OUTAGE_OVER_S,
    REMINDER_S,
    client_config,
    error_logger,
    failed_request,
    idempotent_config,
    produce_all,
    reader_config,
    topic_metadata,
)
from flows.connectors.kafka.membership import Membership, member_config
from flows.errors import BrokerError
from tests.unit.connectors.kafka.fakes import FakeProducer, failure

ANSWER_S = 2.0
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


class Outage:
    """Reports an error every second of an outage, as librdkafka does."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.log = error_logger(lambda: self.now_s)

    def last(self, seconds: float, code: int = KafkaError._TRANSPORT) -> int:
        """Return how many lines the log got."""
        with structlog.testing.capture_logs() as lines:
            for _ in range(int(seconds)):
                self.log(KafkaError(code))
                self.now_s += 1
        return len(lines)


def test_each_kind_of_error_is_logged_once_an_outage():
    outage = Outage()
    assert outage.last(30) == 1
    assert outage.last(30, KafkaError._ALL_BROKERS_DOWN) == 1
    assert outage.last(30) == 0


def test_the_next_outage_is_logged_again():
    outage = Outage()
    assert outage.last(30) == 1
    outage.now_s += OUTAGE_OVER_S
    assert outage.last(30) == 1


def test_a_long_outage_is_called_to_mind():
    assert Outage().last(3 * REMINDER_S) == 3


def test_a_broker_that_refuses_is_not_called_unreachable():
    config = {"bootstrap.servers": "here:1"}
    refused = failed_request(config, "read it", failure(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert (
        str(refused) == "Kafka at here:1 refuses: cannot read it: said so; allow READ on the topic"
    )
    silent = failed_request(config, "read it", failure(KafkaError._TIMED_OUT))
    assert "no Kafka broker answers at here:1 (said so)" in str(silent)


def test_only_a_transactional_producer_keeps_brokers_that_are_all_away(
    monkeypatch: pytest.MonkeyPatch,
):
    strategy = "metadata.recovery.strategy"
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(producer, "Producer", opened.append)
    target = producer.Target({}, "group", "topic", 0, 60_000)
    producer.open_producer(target, lambda *_: None)
    assert opened[0][strategy] == "none"
    others = (
        client_config({}),
        idempotent_config({}, linger_ms=2),
        reader_config({}, "g"),
        member_config({}, "g", Membership()),
    )
    # As librdkafka has it by default.
    assert [each.get(strategy, "rebootstrap") for each in others] == ["rebootstrap"] * len(others)


def test_a_producer_without_transactions_writes_each_message_once():
    plain = idempotent_config({}, linger_ms=2)
    assert (plain["enable.idempotence"], plain["linger.ms"]) == (True, 2)


class SlowAdmin:
    """Answers an attempt that waits long enough, and says what each cost."""

    waited_s = 0.0

    def __init__(self, _options: object) -> None:
        pass

    def list_topics(self, timeout: float) -> Any:
        SlowAdmin.waited_s += min(timeout, ANSWER_S)
        if timeout < ANSWER_S:
            raise failure(KafkaError._TIMED_OUT)
        return SimpleNamespace(topics={"ticks.raw": "described"})

    def poll(self, _timeout: float) -> int:
        return 0


def test_an_answer_that_takes_seconds_is_waited_for_and_none_for_ever(monkeypatch):
    monkeypatch.setattr(client, "AdminClient", SlowAdmin)
    monkeypatch.setattr(SlowAdmin, "waited_s", 0.0)
    assert topic_metadata({"bootstrap.servers": "far:9092"}, 10.0) == {"ticks.raw": "described"}
    assert SlowAdmin.waited_s < 10.0
    with pytest.raises(BrokerError, match="far:9092"):
        topic_metadata({"bootstrap.servers": "far:9092"}, 0.1)
