"""Which calls are repeated, and how that ends."""

import gc
import weakref

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka.retry import is_passing, retried
from tests.unit.connectors.kafka.fakes import failure

BUSY = failure(KafkaError.CONCURRENT_TRANSACTIONS)
FORBIDDEN = failure(KafkaError.TOPIC_AUTHORIZATION_FAILED)


class Broker:
    """Answers with each of these errors once, then with a number."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.steps_s: list[float] = []

    def ask(self, step_s: float) -> int:
        self.steps_s.append(step_s)
        if self.errors:
            raise self.errors.pop(0)
        return 7


def test_an_error_that_passes_is_survived():
    broker = Broker(BUSY, BUSY)
    assert retried(broker.ask, 10.0) == 7
    assert len(broker.steps_s) == 3


def test_an_error_that_does_not_pass_is_raised_at_once():
    broker = Broker(FORBIDDEN)
    with pytest.raises(KafkaException) as raised:
        retried(broker.ask, 10.0)
    assert raised.value is FORBIDDEN
    assert len(broker.steps_s) == 1


def test_what_is_no_error_of_kafka_is_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        retried(lambda _step_s: 1 // 0, 10.0)


@pytest.mark.parametrize("errors", [0, 1])
def test_a_call_leaves_nothing_for_the_garbage_collector(errors):
    broker = Broker(*[failure(KafkaError.CONCURRENT_TRANSACTIONS) for _ in range(errors)])

    def passes(_error: KafkaError) -> bool:
        return True

    gone = weakref.ref(passes)
    gc.disable()
    try:
        retried(broker.ask, 10.0, passes=passes)
        del passes
        assert gone() is None
    finally:
        gc.enable()


def test_an_attempt_gets_some_time_even_at_the_very_end():
    broker = Broker()
    retried(broker.ask, 0.0)
    assert broker.steps_s[0] > 0


def test_an_attempt_lasts_no_longer_than_its_step():
    broker = Broker()
    retried(broker.ask, 10.0, step_s=0.5)
    assert broker.steps_s == [0.5]


def test_callers_may_name_what_passes():
    assert retried(Broker(FORBIDDEN).ask, 10.0, passes=lambda _error: True) == 7


def test_a_transaction_that_must_be_aborted_does_not_pass():
    needs_abort = failure(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True, abort=True)
    assert not is_passing(needs_abort.args[0])


class Stopped(Broker):
    """Takes so long for each of its first answers, as where the process is stopped meanwhile."""

    def __init__(self, *naps_s: float) -> None:
        super().__init__(*[BUSY] * len(naps_s))
        self.naps_s = list(naps_s)
        self.now_s = 1000.0

    def clock(self) -> float:
        return self.now_s

    def ask(self, step_s: float) -> int:
        if self.naps_s:
            self.now_s += self.naps_s.pop(0)
        return super().ask(step_s)


def test_attempts_end_with_the_time_and_raise_the_last_error():
    broker = Stopped(*[0.03] * 100)
    with pytest.raises(KafkaException) as raised:
        retried(broker.ask, 0.1, clock=broker.clock)
    assert raised.value is BUSY
    assert len(broker.steps_s) == 4


def test_a_process_that_was_stopped_amid_an_attempt_asks_once_more():
    assert retried((broker := Stopped(62.8)).ask, 60.0, clock=broker.clock) == 7


def test_an_attempt_that_takes_long_again_and_again_has_an_end():
    broker = Stopped(*[62.8] * 10)
    with pytest.raises(KafkaException):
        retried(broker.ask, 60.0, clock=broker.clock)
    assert len(broker.steps_s) == 2


def test_attempts_as_long_as_their_step_end_with_the_time():
    broker = Stopped(*[5.0] * 20)
    with pytest.raises(KafkaException):
        retried(broker.ask, 60.0, clock=broker.clock)
    assert len(broker.steps_s) == 12


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.NOT_COORDINATOR,
        KafkaError._DESTROY,
        KafkaError._DESTROY_BROKER,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    ],
)
def test_what_is_said_while_a_leader_changes_or_a_node_is_given_up_passes(code: int) -> None:
    assert is_passing(KafkaError(code))


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.TOPIC_EXCEPTION,
    ],
)
def test_what_no_time_heals_does_not_pass(code: int) -> None:
    assert not is_passing(KafkaError(code))
