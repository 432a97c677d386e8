"""What a broker is asked for at a glance, however far away it is."""

import threading

import pytest
from confluent_kafka import KafkaError

from flows.connectors.kafka import overview
from flows.connectors.kafka.overview import BrokerView
from flows.errors import BrokerError
from tests.unit.connectors.kafka.fakes import failure

COUNTS = {"ticks.raw": 8, "predictions": 8, "outcomes": 0}
NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "partition_counts", lambda _config, _topics: COUNTS)


def test_the_ends_of_all_partitions_are_asked_for_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    barrier = threading.Barrier(8)

    def far(_consumer: object, topic: str, at: int, _limit_s: float) -> tuple[int, int]:
        barrier.wait(30)
        return at, len(topic)

    monkeypatch.setattr(overview, "bounds", far)
    with BrokerView(NOWHERE) as view:
        found = view.bounds(list(COUNTS))
    assert found == {
        topic: {at: (at, len(topic)) for at in range(8)} for topic in ("ticks.raw", "predictions")
    }


def test_a_partition_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_consumer: object, _topic: str, _at: int, _limit_s: float) -> tuple[int, int]:
        raise failure(KafkaError._TIMED_OUT)

    monkeypatch.setattr(overview, "bounds", away)
    with BrokerView(NOWHERE) as view, pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        view.bounds(list(COUNTS))
