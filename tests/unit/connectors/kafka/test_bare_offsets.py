"""Offsets without messages: a broker that keeps them is asked once and never written to."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from flows.connectors.kafka import bare_offsets
from flows.connectors.kafka.bare_offsets import BareOffsets
from flows.connectors.kafka.group_commit import GroupCommit
from flows.connectors.kafka.producer import Target
from tests.unit.connectors.kafka.fakes import failure, output

TARGET = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=300)


class Broker:
    """Answers with prepared commits, and keeps those that are made outside of transactions."""

    def __init__(self, *answers: GroupCommit | BaseException) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.written: list[tuple[str, int, int, str]] = []

    def group_commit(self, target: Target) -> GroupCommit:
        assert target is TARGET
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        assert not asynchronous
        self.written += [
            (each.topic, each.partition, each.offset, each.metadata) for each in offsets
        ]


def noted(monkeypatch: pytest.MonkeyPatch, broker: Broker, *bare: bool) -> Broker:
    monkeypatch.setattr(bare_offsets, "group_commit", broker.group_commit)
    monkeypatch.setattr(bare_offsets, "Consumer", lambda _options: broker)
    offsets = BareOffsets(TARGET)
    for at, is_bare in enumerate(bare):
        batches = [output(at, at + 1, records=[])] if is_bare else [output(at, at + 1)]
        offsets.note(at, f"m{at}", batches)
    return broker


def answer(offset: int, metadata: str) -> Any:
    return GroupCommit(offset, metadata, object())


def test_a_broker_that_keeps_them_is_asked_once(monkeypatch):
    broker = noted(monkeypatch, Broker(answer(2, "m2")), True, False, True, True, False, True)
    assert (broker.asked, broker.written) == (1, [])


def test_a_broker_that_drops_them_gets_each_once_more(monkeypatch):
    broker = noted(monkeypatch, Broker(answer(0, "")), False, True, True, False, True)
    assert broker.asked == 1
    assert broker.written == [("ticks.raw", 3, at, f"m{at}") for at in (1, 2, 4)]


def test_another_owner_is_not_overwritten(monkeypatch):
    # It has committed meanwhile, on a broker that keeps what is noted beside a commit.
    broker = noted(monkeypatch, Broker(answer(99, "its own")), False, True, True)
    assert (broker.asked, broker.written) == (1, [])


def test_a_broker_that_does_not_answer_is_asked_next_time(monkeypatch):
    silent = failure(KafkaError._TIMED_OUT)
    broker = noted(monkeypatch, Broker(silent, answer(2, "m2")), False, True, True, True)
    assert (broker.asked, broker.written) == (2, [])
