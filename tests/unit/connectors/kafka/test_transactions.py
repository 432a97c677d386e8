"""Transactions: what becomes visible, what is tried again, what ends the process."""

import pytest
from confluent_kafka import KafkaError

from flows.codec.outputs import Latest, Outputs
from flows.connectors.kafka.positions import CommitMetadata, Start, decode_metadata
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.settling import REFUSED_IN_A_ROW, REFUSED_S
from flows.connectors.kafka.transactions import ABORT_LIMIT, TransactionalWriter
from flows.errors import BrokerError, FencedError
from tests.unit.connectors.kafka.fakes import FakeProducer, failure, output, values

TARGET = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=300)
ABORTABLE = failure(KafkaError._INCONSISTENT, abort=True)


def writer(producer: FakeProducer, floor: int = 0) -> TransactionalWriter:
    made = TransactionalWriter(TARGET, producer)
    made._floor = floor
    return made


def committed(producer: FakeProducer) -> tuple[int, str]:
    last = producer.committed_offsets[-1]
    assert (last.topic, last.partition) == ("ticks.raw", 3)
    return last.offset, last.metadata


def test_outputs_and_offset_are_committed_together():
    producer = FakeProducer()
    writing = writer(producer)
    batches = [output(0, 2), output(2, 3)]
    for batch in batches:
        writing.write(batch)
    assert values(producer) == []
    done = writing.commit()
    assert (done.partition, done.batches) == (3, batches)
    assert values(producer) == [0, 1, 2]
    assert committed(producer) == (3, '{"rebuild_from":2}')
    assert not writing.is_open
    assert writing.floor == 3


def test_pending_outputs_are_made_when_they_are_written_and_cut_at_the_committed_offset():
    made: list[int] = []

    def pending() -> Outputs:
        made.append(1)
        whole = output(0, 4)
        return Outputs(whole.records, [Latest("A", 0, 1, b"old"), Latest("B", 3, 1, b"new")])

    producer = FakeProducer(commit_transaction=[ABORTABLE])
    writing = writer(producer, floor=2)
    for passed_over in (
        output(0, 2, records=[], pending=pending),
        output(0, 4, records=[], pending=pending, emit=False),
    ):
        writing.write(passed_over)
    assert made == []
    writing.write(output(0, 4, records=[], pending=pending))
    [done] = writing.commit().batches
    assert (made, values(producer)) == ([1], [2, 3])
    assert [each.symbol for each in done.latest] == ["B"]
    assert done.pending is None


def test_the_offset_is_sent_once_and_behind_all_messages():
    producer = FakeProducer()
    writing = writer(producer)
    writing.write(output(0, 2))
    writing.write(output(2, 3))
    writing.commit()
    assert producer.calls == [
        "begin_transaction",
        *["produce_batch"] * 2,
        "send_offsets_to_transaction",
        "commit_transaction",
    ]
    assert committed(producer)[0] == 3


def cautious(producer: FakeProducer) -> TransactionalWriter:
    """Return a writer whose broker has refused messages in a row."""
    made = writer(producer)
    for _ in range(REFUSED_IN_A_ROW):
        made._settling.note_commit(REFUSED_S, caught_up=True)
    return made


def test_where_messages_are_refused_the_offset_goes_first_and_again_only_if_more_was_written():
    producer = FakeProducer()
    writing = cautious(producer)
    writing.write(output(0, 2))
    writing.commit()
    alone = [
        "begin_transaction",
        "send_offsets_to_transaction",
        "produce_batch",
        "commit_transaction",
    ]
    assert producer.calls == alone
    writing.write(output(2, 4))
    writing.write(output(4, 5))
    writing.commit()
    again = ["produce_batch", "send_offsets_to_transaction", "commit_transaction"]
    assert producer.calls == [*alone, *alone[:3], *again]
    assert committed(producer)[0] == 5


def test_an_offset_that_is_refused_at_first_is_sent_again_before_any_message():
    producer = FakeProducer(send_offsets_to_transaction=[ABORTABLE])
    writing = cautious(producer)
    writing.write(output(0, 2))
    assert producer.calls[:4] == [
        "begin_transaction",
        "send_offsets_to_transaction",
        "abort_transaction",
        "begin_transaction",
    ]
    writing.commit()
    assert values(producer) == [0, 1]


def test_what_an_earlier_owner_has_committed_is_dropped():
    producer = FakeProducer()
    writing = writer(producer, floor=5)
    writing.write(output(0, 3))
    assert not writing.is_open
    writing.write(output(3, 8))
    writing.commit()
    assert values(producer) == [5, 6, 7]
    assert committed(producer) == (8, '{"rebuild_from":3}')


def test_what_is_dropped_is_not_shown_as_the_latest_either():
    writing = writer(FakeProducer(), floor=5)
    shown = [Latest("A", 4, 10, b"4"), Latest("B", 5, 10, b"5")]
    writing.write(output(3, 8, latest=shown))
    done = writing.commit()
    assert [each for batch in done.batches for each in batch.latest] == shown[1:]


def test_a_batch_that_ends_at_the_committed_offset_commits_nothing():
    producer = FakeProducer()
    writing = writer(producer, floor=8)
    writing.write(output(3, 8))
    assert producer.calls == []


def test_a_rebuild_and_an_idle_batch_write_nothing():
    producer = FakeProducer()
    writing = writer(producer)
    writing.write(output(0, 5, emit=False))
    writing.write(output(0, 0, records=[]))
    assert producer.calls == []
    writing.write(output(0, 5))
    writing.write(output(5, 5, records=[]))
    writing.commit()
    assert values(producer) == [0, 1, 2, 3, 4]


def test_a_batch_without_outputs_still_moves_the_offset():
    producer = FakeProducer()
    writing = writer(producer)
    writing.write(output(0, 4, records=[]))
    writing.commit()
    assert values(producer) == []
    assert committed(producer)[0] == 4


def test_a_full_queue_is_waited_for_in_order():
    producer = FakeProducer()
    producer.room = 3

    def deliver() -> None:
        producer.room = 2

    producer.on_poll = deliver
    writing = writer(producer)
    writing.write(output(0, 10))
    writing.commit()
    assert values(producer) == list(range(10))


def test_a_queue_that_stays_full_is_an_error():
    producer = FakeProducer()
    producer.room = 1
    with pytest.raises(BrokerError, match=r"took nothing for 0\.3 s"):
        writer(producer).write(output(0, 10))


def test_what_is_retriable_is_tried_again():
    busy = failure(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)
    producer = FakeProducer(send_offsets_to_transaction=[busy, busy], commit_transaction=[busy])
    writing = writer(producer)
    writing.write(output(0, 2))
    writing.commit()
    assert values(producer) == [0, 1]
    assert producer.calls.count("commit_transaction") == 2


def test_silence_has_an_end():
    silent = failure(KafkaError._TIMED_OUT, retriable=True)
    producer = FakeProducer(commit_transaction=[silent] * 1000)
    writing = writer(producer)
    writing.write(output(0, 2))
    with pytest.raises(BrokerError, match=r"partition 3 of ticks.raw: cannot commit: said so"):
        writing.commit()


@pytest.mark.parametrize("where", ["send_offsets_to_transaction", "commit_transaction"])
def test_an_aborted_transaction_is_written_again_whole(where: str):
    producer = FakeProducer(**{where: [ABORTABLE]})
    writing = writer(producer)
    writing.write(output(0, 2))
    writing.write(output(2, 4))
    writing.commit()
    assert producer.calls.count("abort_transaction") == 1
    assert values(producer) == [0, 1, 2, 3]
    assert committed(producer) == (4, '{"rebuild_from":2}')


def test_a_transaction_that_fails_while_written_is_written_again_whole():
    state = failure(KafkaError._STATE)
    producer = FakeProducer(produce_batch=[None, state])
    writing = writer(producer)
    writing.write(output(0, 2))
    writing.write(output(2, 4))
    writing.commit()
    assert values(producer) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "allow WRITE on the topics"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "allow READ on group "),
    ],
)
def test_what_is_not_allowed_any_more_is_not_tried_again(code: int, cure: str):
    """The next try ends in an erroneous state, which says nothing."""
    denied = failure(code, abort=True)
    producer = FakeProducer(send_offsets_to_transaction=[denied])
    writing = writer(producer)
    writing.write(output(0, 2))
    with pytest.raises(BrokerError, match=f"said so; {cure}") as refused:
        writing.commit()
    assert refused.value.exit_code == BrokerError.exit_code
    assert producer.calls.count("begin_transaction") == 1


def test_aborts_have_an_end():
    producer = FakeProducer(commit_transaction=[ABORTABLE] * ABORT_LIMIT)
    writing = writer(producer)
    writing.write(output(0, 2))
    with pytest.raises(BrokerError, match="3 transactions in a row were aborted: said so"):
        writing.commit()
    assert values(producer) == []


FENCED = [
    failure(KafkaError._FENCED, fatal=True),
    failure(KafkaError.INVALID_PRODUCER_EPOCH),
    failure(KafkaError._FATAL),
]


@pytest.mark.parametrize("error", FENCED)
@pytest.mark.parametrize(
    "where", ["begin_transaction", "produce_batch", "send_offsets_to_transaction"]
)
def test_a_younger_owner_ends_this_one(where: str, error: BaseException):
    producer = FakeProducer(**{where: [error]})
    writing = writer(producer)

    def write_and_commit() -> None:
        writing.write(output(0, 2))
        writing.commit()

    with pytest.raises(FencedError, match="younger instance of group group") as refused:
        write_and_commit()
    assert refused.value.exit_code == 3
    assert "\n" not in str(refused.value)


def test_a_younger_owner_at_the_start_ends_this_one():
    producer = FakeProducer(init_transactions=[FENCED[0]])
    with pytest.raises(FencedError):
        writer(producer).take_over()


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
    ],
)
def test_what_the_broker_does_not_allow_is_not_called_fenced(code: int):
    producer = FakeProducer(init_transactions=[failure(code, fatal=True)])
    with pytest.raises(BrokerError, match="cannot take over: said so"):
        writer(producer).take_over()


def test_the_transactional_id_is_that_of_group_and_partition():
    assert TARGET.transactional_id == "group-3"


def keeping(producer: FakeProducer, metadata: str = '{"rebuild_from":4}') -> TransactionalWriter:
    made = writer(producer, floor=9)
    made._metadata = metadata
    return made


def test_keeping_alive_commits_the_same_offset_once_more():
    producer = FakeProducer()
    keeping(producer).keep_alive()
    assert committed(producer) == (9, '{"rebuild_from":4}')
    assert values(producer) == []


def test_keeping_alive_after_a_commit_commits_what_that_has_committed():
    producer = FakeProducer()
    writing = writer(producer)
    writing.write(output(0, 2, newest_ms=77))
    writing.commit()
    writing.keep_alive()
    assert producer.committed_offsets[0].metadata == '{"rebuild_from":0,"newest_ms":77}'
    assert committed(producer) == (2, '{"rebuild_from":0,"newest_ms":77}')


def test_keeping_alive_survives_an_abort_and_ends_when_fenced():
    producer = FakeProducer(commit_transaction=[ABORTABLE])
    keeping(producer).keep_alive()
    assert committed(producer)[0] == 9
    with pytest.raises(BrokerError, match="3 transactions in a row"):
        keeping(FakeProducer(commit_transaction=[ABORTABLE] * ABORT_LIMIT)).keep_alive()
    with pytest.raises(FencedError):
        keeping(FakeProducer(begin_transaction=[FENCED[0]])).keep_alive()


def test_a_commit_names_the_topic_and_what_is_written():
    producer = FakeProducer()
    target = Target({}, "group", "ticks.raw", 3, 300, Start(3, 0, 0, topic_id="id"), "predictions")
    writing = TransactionalWriter(target, producer)
    writing.write(output(0, 2, newest_ms=5))
    writing.commit()
    assert decode_metadata(committed(producer)[1]) == CommitMetadata(0, "id", 5, "predictions")


def test_the_end_of_the_time_never_lets_the_clients_own_error_out():
    """Whether the last attempt fails just before or just after its end."""
    silent = failure(KafkaError._TIMED_OUT, retriable=True)
    for limit_ms in range(1, 60, 7):
        producer = FakeProducer(commit_transaction=[silent] * 1000)
        target = Target({}, "group", "ticks.raw", 3, transaction_timeout_ms=limit_ms)
        writing = TransactionalWriter(target, producer)
        writing.write(output(0, 2))
        with pytest.raises(BrokerError, match="cannot commit: said so"):
            writing.commit()


def test_aborting_leaves_nothing():
    producer = FakeProducer()
    writing = writer(producer)
    writing.abort()
    assert producer.calls == []
    writing.write(output(0, 2))
    writing.abort()
    assert producer.calls[-1] == "abort_transaction"
    assert not writing.is_open
