"""Taking a partition over, and commits that a member of a group makes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError

from flows.connectors.kafka import generations, group_commit, transactions
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.refusals import NotMemberError
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.errors import FencedError
from tests.unit.connectors.kafka.fakes import Commits, FakeProducer, failure, output, values

TARGET = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=300)


def committed(producer: FakeProducer) -> tuple[int, str]:
    last = producer.committed_offsets[-1]
    assert (last.topic, last.partition) == ("ticks.raw", 3)
    return last.offset, last.metadata


TAKEN_OVER = {
    # what the plan saw, what is committed now -> the floor, and whether it is committed
    "a new group": (None, OFFSET_INVALID, 20, True),
    "a commit that is replaced": (150, 150, 20, True),
    "another owner committed meanwhile": (None, 30, 30, False),
    "another owner went on from what was to be replaced": (150, 160, 160, False),
    "a group that was forgotten meanwhile": (150, OFFSET_INVALID, 20, True),
}


@pytest.mark.parametrize("kind", TAKEN_OVER)
def test_a_planned_start_is_committed_unless_an_earlier_owner_has_committed_since(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    replaced, found, floor, is_committed = TAKEN_OVER[kind]
    monkeypatch.setattr(group_commit, "Consumer", Commits(found, '{"rebuild_from":8}'))
    producer = FakeProducer()
    target = Target({}, "group", "ticks.raw", 3, 300, Start(3, 5, 20, replaced))
    writing = TransactionalWriter(target, producer)
    writing.take_over()
    assert writing.floor == floor
    if is_committed:
        assert committed(producer) == (20, '{"rebuild_from":5}')
    else:
        assert producer.committed_offsets == []
        writing.keep_alive()
        assert committed(producer) == (floor, '{"rebuild_from":8}')


@pytest.mark.parametrize("steps", range(3))
def test_a_takeover_that_is_wanted_no_more_ends_before_its_next_step(
    steps: int, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    monkeypatch.setattr(transactions, "fence", lambda *_, **_options: done.append("fence"))

    def plan() -> Start:
        done.append("plan")
        return Start(3, 5, 20)

    writing = TransactionalWriter(replace(TARGET, start=None), FakeProducer(), plan)
    # No client could be opened for a further step.
    writing.take_over(lambda: len(done) < steps)
    assert done == ["fence", "plan"][:steps]


STALE = [
    failure(KafkaError.ILLEGAL_GENERATION, abort=True),
    failure(KafkaError.UNKNOWN_MEMBER_ID, abort=True),
    failure(KafkaError.STALE_MEMBER_EPOCH, abort=True),
]


def member(producer: FakeProducer, metadata: Callable[[], object]) -> TransactionalWriter:
    return TransactionalWriter(TARGET, producer, group_metadata=metadata)


@pytest.mark.parametrize("error", STALE)
def test_a_commit_of_an_older_generation_is_made_again_in_the_new_one(error: BaseException):
    # The member hears of the new generation some looks later.
    generations = chain([1, 1, 1], repeat(2))
    producer = FakeProducer(send_offsets_to_transaction=[error])
    writing = member(producer, lambda: next(generations))
    writing.write(output(0, 2))
    writing.commit()
    assert values(producer) == [0, 1]
    assert producer.members == [1, 2]


def test_a_member_that_the_group_has_given_up_commits_nothing_and_is_fenced(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(generations, "NEW_GENERATION_LIMIT_S", 0.05)
    producer = FakeProducer(send_offsets_to_transaction=[STALE[1]] * 99)
    writing = member(producer, lambda: 1)
    writing.write(output(0, 2))
    with pytest.raises(FencedError, match="group group has given this member up"):
        writing.commit()
    assert producer.visible == []


def test_a_member_that_knows_that_it_is_none_does_not_even_ask():
    def metadata() -> object:
        message = "gone"
        raise NotMemberError(message)

    producer = FakeProducer()
    writing = member(producer, metadata)
    writing.write(output(0, 2))
    with pytest.raises(FencedError, match="given this member up"):
        writing.commit()
    assert producer.visible == []
    assert "send_offsets_to_transaction" not in producer.calls


def test_a_start_is_planned_once_every_earlier_owner_is_fenced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "Consumer", Commits(20, '{"rebuild_from":8}'))
    producer = FakeProducer()
    seen: list[list[str]] = []

    def plan() -> Start:
        seen.append(list(producer.calls))
        return Start(3, 8, 20)

    writing = TransactionalWriter(TARGET, producer, plan=plan)
    writing.take_over()
    assert seen == [["init_transactions"]]
    assert (writing.start, writing.floor) == (Start(3, 8, 20), 20)
