"""A client whose call never comes back is given up, and another takes its place."""

import gc
import threading

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException

from flows.connectors.kafka import group_commit, hanging
from flows.connectors.kafka.hanging import CallThread, EndingProducer, HungClientError
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.refusals import NotMemberError
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.errors import BrokerError, FencedError
from tests.support.polling import until
from tests.unit.connectors.kafka.fakes import Commits, FakeProducer, failure, output, values

TARGET = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=300)
HUNG = HungClientError("the client has not come back")
ABORTABLE = failure(KafkaError._INCONSISTENT, abort=True)


class HangingProducer(FakeProducer):
    """Comes back from no commit until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def commit_transaction(self, timeout: float) -> None:
        self.let_go.wait()
        super().commit_transaction(timeout)


def test_a_call_that_comes_back_is_as_if_made_directly():
    producer = FakeProducer(commit_transaction=[None, ABORTABLE])
    ending = EndingProducer(producer)
    ending.init_transactions(1.0)
    ending.begin_transaction()
    assert ending.produce_batch("predictions", [{"key": b"k", "value": b"1"}], 3) == 1
    ending.send_offsets_to_transaction([], object(), 1.0)
    ending.commit_transaction(1.0)
    with pytest.raises(KafkaException):
        ending.commit_transaction(1.0)
    ending.abort_transaction(1.0)
    assert values(producer) == [1]
    assert producer.calls[-1] == "abort_transaction"


def test_a_call_that_does_not_come_back_ends_and_nothing_more_is_asked_of_the_client():
    hanging = HangingProducer()
    ending = EndingProducer(hanging, grace_s=0.05)
    with pytest.raises(HungClientError, match=r"given 0\.01 s"):
        ending.commit_transaction(0.01)
    with pytest.raises(HungClientError, match="earlier call"):
        ending.abort_transaction(60.0)
    hanging.let_go.set()
    assert "abort_transaction" not in hanging.calls


def test_the_thread_ends_with_who_uses_it():
    calls = CallThread()
    threads: list[threading.Thread] = []
    calls.run(lambda: threads.append(threading.current_thread()), 1.0)
    [thread] = threads
    assert thread is not threading.current_thread()
    assert thread.is_alive()
    del calls
    gc.collect()
    until(lambda: not thread.is_alive(), "the thread ends", 10.0)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    """The client that takes the place of one that hangs."""
    producer = FakeProducer()
    monkeypatch.setattr(hanging, "open_producer", lambda *_: producer)
    return producer


def writer(
    monkeypatch: pytest.MonkeyPatch, first: FakeProducer, committed: int
) -> TransactionalWriter:
    """Return a writer that has committed up to 2, where the broker then has ``committed``."""
    commits = Commits(2)
    monkeypatch.setattr(group_commit, "Consumer", commits)
    writing = TransactionalWriter(TARGET, first)
    writing.take_over()
    commits.answer.offset = committed
    return writing


HANGS = {
    "with its offset": {"send_offsets_to_transaction": [HUNG]},
    "at its commit": {"commit_transaction": [HUNG]},
    "when it is aborted": {"commit_transaction": [ABORTABLE], "abort_transaction": [HUNG]},
    "when its messages are handed over": {
        "produce_batch": [ABORTABLE],
        "abort_transaction": [HUNG],
    },
}


@pytest.mark.parametrize("place", HANGS)
def test_what_a_hung_client_has_not_committed_is_written_by_the_next(
    place: str, second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    first = FakeProducer(**{name: list(errors) for name, errors in HANGS[place].items()})
    writing = writer(monkeypatch, first, committed=2)
    for batch in (output(0, 4), output(4, 5)):
        writing.write(batch)
    done = writing.commit()
    assert second.calls[0] == "init_transactions"
    assert values(first) == []
    assert values(second) == [2, 3, 4]
    assert second.committed_offsets[-1].offset == writing.floor == 5
    assert done.batches[-1].next_offset == 5
    writing.write(output(5, 6))
    writing.commit()
    assert values(second) == [2, 3, 4, 5]


def test_what_a_hung_client_has_committed_after_all_is_written_by_no_other(
    second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    writing = writer(monkeypatch, FakeProducer(commit_transaction=[HUNG]), committed=4)
    writing.write(output(2, 4))
    assert [batch.next_offset for batch in writing.commit().batches] == [4]
    assert values(second) == []
    assert writing.floor == 4


def test_a_hung_client_is_not_replaced_where_another_owner_has_committed(
    second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    writing = writer(monkeypatch, FakeProducer(commit_transaction=[HUNG]), committed=9)
    writing.write(output(2, 4))
    with pytest.raises(FencedError, match="committed up to 9"):
        writing.commit()
    assert second.visible == []


def test_a_partition_that_is_given_up_is_not_taken_over_again(
    second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    writing = writer(monkeypatch, FakeProducer(commit_transaction=[HUNG]), committed=2)
    writing.write(output(2, 4))
    writing.leave()
    with pytest.raises(
        BrokerError, match=r"partition 3 of ticks\.raw: the client has not come back"
    ):
        writing.commit()
    assert second.calls == []


def test_a_member_that_the_group_has_given_up_fences_nobody(second: FakeProducer):
    views: list[object] = [1]

    def member() -> object:
        if not views:
            message = "gone"
            raise NotMemberError(message)
        return views.pop()

    first = FakeProducer(commit_transaction=[HUNG])
    writing = TransactionalWriter(TARGET, first, group_metadata=member)
    writing.write(output(0, 2))
    with pytest.raises(FencedError, match="given this member up"):
        writing.commit()
    assert second.calls == []


@pytest.mark.parametrize("committed", [150, 20])
def test_a_start_is_committed_by_the_second_client_where_the_first_one_hangs_with_it(
    committed: int, second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    commits = Commits(150)
    monkeypatch.setattr(group_commit, "Consumer", commits)

    class Hanging(FakeProducer):
        def commit_transaction(self, timeout: float) -> None:
            del timeout
            commits.answer.offset = committed
            raise HUNG

    target = Target({}, "group", "ticks.raw", 3, 300, Start(3, 5, 20, 150))
    writing = TransactionalWriter(target, Hanging())
    writing.take_over()
    assert writing.floor == 20
    assert second.committed_offsets[-1].offset == 20


def test_a_second_client_that_hangs_ends_the_writer(
    second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    second.failures["init_transactions"] = [HUNG]
    writing = writer(monkeypatch, FakeProducer(commit_transaction=[HUNG]), committed=2)
    writing.write(output(2, 4))
    with pytest.raises(BrokerError, match=r"partition 3 of ticks\.raw: .*start this again"):
        writing.commit()


def test_a_group_without_a_commit_is_as_it_was(
    second: FakeProducer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group_commit, "Consumer", Commits(OFFSET_INVALID))
    writing = TransactionalWriter(TARGET, FakeProducer(send_offsets_to_transaction=[HUNG]))
    writing.take_over()
    writing.write(output(0, 2))
    writing.commit()
    assert values(second) == [0, 1]
