"""When a member that has just started joins a group in which others own the partitions."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka import readiness
from flows.connectors.kafka.readiness import (
    ASK_EVERY_S,
    READY_LIMIT_S,
    JoinWhenReady,
    group_members,
)


class Start:
    """A process that starts, by the test's clock."""

    def __init__(self, *members: str | None) -> None:
        self.now_s = 100.0
        self.members: list[str | None] = list(members)
        self.ready = False
        self.prepared = 0
        self.asked = 0
        self.may_join = JoinWhenReady(
            self._prepare, lambda: self.ready, self._ask, lambda: self.now_s
        )

    def _prepare(self) -> None:
        self.prepared += 1

    def _ask(self) -> list[str | None]:
        self.asked += 1
        return self.members


def test_the_only_member_joins_at_once():
    start = Start()
    assert start.may_join(None)
    assert start.prepared == 0


def test_beside_others_a_member_joins_once_it_is_ready():
    start = Start(None, None)
    assert not start.may_join(None)
    assert start.prepared == 1
    start.ready = True
    assert start.may_join(None)
    assert (start.prepared, start.asked) == (1, 1)


def test_a_member_joins_as_it_is_when_the_others_have_ended():
    start = Start(None)
    assert not start.may_join(None)
    start.members = []
    assert not start.may_join(None)
    start.now_s += ASK_EVERY_S
    assert start.may_join(None)


def test_a_member_joins_as_it_is_after_a_while():
    start = Start(None)
    assert not start.may_join(None)
    start.now_s += READY_LIMIT_S - 0.1
    assert not start.may_join(None)
    start.now_s += 0.1
    assert start.may_join(None)


def test_a_named_member_whose_partitions_wait_for_it_joins_at_once():
    start = Start("one", "two")
    assert start.may_join("two")
    newcomer = Start("one", "two")
    assert not newcomer.may_join("three")


def test_where_one_worker_may_join_all_may():
    start = Start()
    assert start.may_join("one")
    start.members = ["one"]  # as the first is a member now
    assert start.may_join("one-1")


def test_a_broker_that_does_not_tell_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    class Answer:
        def result(self) -> object:
            raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    class Admin:
        def __init__(self, _options: object) -> None: ...

        def describe_consumer_groups(
            self, groups: list[str], request_timeout: float
        ) -> dict[str, Answer]:
            assert request_timeout > 0
            return {group: Answer() for group in groups}

    monkeypatch.setattr(readiness, "AdminClient", Admin)
    assert group_members({}, "g") == []
