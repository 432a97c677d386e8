"""Reads of many partitions from a broker that is far away."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas import topics
from serving.http.problems import LogUnavailableError
from serving.log import dead_letters, progress
from serving.log import reader as module
from serving.log.reader import LogReader
from serving.log.topic_reads import WHOLE_S, TopicReads

PARTITIONS = 64
WAIT_S = 30.0


class FarBroker:
    """Topics of many partitions; each answer takes its time, by a clock of its own.

    Parameters
    ----------
    answer_s
        How long an answer is under way.
    side_by_side
        Answer for a partition once so many are asked for; 1: each at once.
    """

    def __init__(self, answer_s: float = 0.0, side_by_side: int = 1) -> None:
        self.now_s = 0.0
        self.asked = 0
        self.closed = 0
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(side_by_side)
        self._assigned: list[Any] = []

    def __call__(self, _options: object) -> "FarBroker":
        return self

    def _answer(self, timeout: float) -> None:
        with self._lock:
            self.asked += 1
            self.now_s += min(self._answer_s, timeout)
        if self._answer_s > timeout:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def list_topics(self, timeout: float) -> Any:
        self._answer(timeout)
        every = SimpleNamespace(partitions=range(PARTITIONS))
        return SimpleNamespace(topics=dict.fromkeys(topics.ALL, every))

    def get_watermark_offsets(self, _place: object, timeout: float) -> tuple[int, int]:
        self._barrier.wait(WAIT_S)
        self._answer(timeout)
        return 5, 10

    def assign(self, places: list[Any]) -> None:
        self._assigned = places

    def consume(self, _most: int, _wait_s: float) -> list[Any]:
        found, self._assigned = self._assigned, []
        return [End(place.topic, place.partition) for place in found]

    def close(self) -> None:
        self.closed += 1


class End:
    """What tells that a partition has no more."""

    def __init__(self, topic: str, partition: int) -> None:
        self._place = topic, partition

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return 10

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._PARTITION_EOF)


def reader_of(broker: FarBroker, monkeypatch: pytest.MonkeyPatch) -> LogReader:
    monkeypatch.setattr(module, "Consumer", broker)
    return LogReader({}, lambda: broker.now_s)


def test_partitions_are_asked_for_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = FarBroker(side_by_side=8)
    samples = progress.look(reader_of(broker, monkeypatch))
    assert [(each.partition, each.end) for each in samples] == [(at, 10) for at in range(64)]
    assert broker.asked == 1 + 2 * PARTITIONS
    letters = dead_letters.newest(reader_of(broker, monkeypatch), 20)
    assert (letters.total, letters.letters) == (5 * PARTITIONS, [])


@pytest.mark.parametrize("read", [progress.look, lambda each: dead_letters.newest(each, 20)])
def test_a_broker_that_is_too_far_for_all_is_left_in_time(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = FarBroker(answer_s=1.0)
    reader = reader_of(broker, monkeypatch)
    with pytest.raises(LogUnavailableError, match="too slowly"), reader.within(WHOLE_S):
        read(reader)
    assert broker.now_s <= WHOLE_S
    with pytest.raises(LogUnavailableError):  # one request that is not answered
        reader_of(FarBroker(answer_s=3.0), monkeypatch).bounds((topics.OUTCOMES, 0))


def test_those_who_waited_learn_of_a_failure_with_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = FarBroker(answer_s=3.0)
    monkeypatch.setattr(module, "Consumer", broker)

    async def ask() -> list[Any]:
        reads = TopicReads({}, lambda: 0.0)
        runs = [reads.run(at, 2.0, LogReader.partitions) for at in range(8)]
        try:
            return await asyncio.gather(*runs, return_exceptions=True)
        finally:
            reads.close()

    found = asyncio.run(ask())
    assert {type(each) for each in found} == {LogUnavailableError}
    assert broker.asked == 1
