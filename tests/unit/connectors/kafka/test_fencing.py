"""How a producer fences: it asks again at once where the broker says so, and else patiently."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka.fencing import CLIENT_ASKS_AGAIN_S, fence
from flows.connectors.kafka.retry import STEP_S
from tests.unit.connectors.kafka.fakes import failure

BUSY = failure(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)
SILENT = failure(KafkaError._TIMED_OUT, retriable=True)
FENCED = failure(KafkaError._FENCED, fatal=True)


class Producer:
    """Answers an initialisation with each of these errors once, then well; keeps the time."""

    def __init__(self, *errors: BaseException, contact_s: float = 0.004) -> None:
        self.errors = list(errors)
        self.contact_s = contact_s
        self.steps_s: list[float] = []
        self.now_s = 50.0
        self.contact: Callable[[], None] = lambda: None

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert topic == "ticks.raw"
        assert timeout > 0
        self.now_s += self.contact_s
        self.contact()

    def init_transactions(self, timeout: float) -> None:
        self.steps_s.append(timeout)
        if self.errors:
            self.now_s += timeout
            raise self.errors.pop(0)

    def fence(self, limit_s: float = 60.0, *, is_wanted: bool = True) -> None:
        fence(
            self,  # type: ignore[arg-type]
            "ticks.raw",
            limit_s,
            lambda: self.now_s,
            lambda: is_wanted,
        )


def test_it_asks_again_at_once_while_the_broker_ends_what_was_open():
    producer = Producer(BUSY, BUSY)
    producer.fence()
    assert producer.steps_s == [0.1, 0.1, 0.1]
    assert sum(producer.steps_s) < CLIENT_ASKS_AGAIN_S


def test_the_farther_the_broker_the_longer_an_answer_is_waited_for():
    producer = Producer(contact_s=0.06)
    producer.fence()
    assert producer.steps_s == [pytest.approx(0.3)]


def test_a_broker_that_is_too_far_is_asked_as_seldom_as_the_client_does():
    producer = Producer(contact_s=0.2)
    producer.fence()
    assert producer.steps_s == [STEP_S]


def test_no_second_request_is_sent_soon_behind_one_without_an_answer():
    producer = Producer(SILENT)
    producer.fence()
    assert producer.steps_s == [0.1, STEP_S]


def test_a_broker_that_does_not_answer_a_first_contact_is_asked_patiently():
    producer = Producer()

    def refuse() -> None:
        raise SILENT

    producer.contact = refuse
    producer.fence()
    assert producer.steps_s == [STEP_S]


def test_a_refusal_is_raised_at_once():
    producer = Producer(FENCED)
    with pytest.raises(KafkaException) as raised:
        producer.fence()
    assert raised.value is FENCED
    assert len(producer.steps_s) == 1


def test_a_broker_that_never_ends_the_open_transaction_is_given_up():
    producer = Producer(*[BUSY] * 100)
    with pytest.raises(KafkaException):
        producer.fence(limit_s=1.0)
    assert sum(producer.steps_s) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("errors", [(BUSY, BUSY), (SILENT, SILENT)], ids=["busy", "silent"])
def test_who_is_to_own_the_partition_no_more_does_not_ask_again(errors: tuple[BaseException, ...]):
    producer = Producer(*errors)
    with pytest.raises(KafkaException):
        producer.fence(is_wanted=False)
    assert len(producer.steps_s) == 1
