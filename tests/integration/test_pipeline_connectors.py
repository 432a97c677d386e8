"""Readers, positions and transactions against real brokers."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient

from flows.codec.batch import partition_key
from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.admin import ensure_topics
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.reader import read_tail, read_topic
from flows.connectors.kafka.source import CommittedSource
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.errors import BrokerError, FencedError
from schemas import topics
from tests.support.kafka import tools
from tests.support.kafka.tools import Outgoing, committed, create_topics, fill
from tests.support.polling import free_ports, until

PARTITIONS = 2


def numbered(count: int, first: int = 0) -> list[Outgoing]:
    """Message k goes to partition k % 2 and has timestamp 1,000,000 + 10 k ms."""
    return [
        Outgoing(k % PARTITIONS, b"key", b"%d" % k, 1_000_000 + 10 * k)
        for k in range(first, first + count)
    ]


def read(config, **options) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {0: [], 1: []}
    for batch in read_topic(config, topics.TICKS_RAW, **options):
        assert batch.next_offset > batch.offsets[-1]
        assert len(batch.values) == len(batch.offsets) == len(batch.timestamps_ms)
        found[batch.partition] += [int(value) for value in batch.values]
    return found


def test_a_topic_is_read_whole_and_in_order(broker):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(1000))
    whole = {p: list(range(p, 1000, PARTITIONS)) for p in range(PARTITIONS)}
    assert read(config) == whole
    assert read(config, batch_size=7) == whole


def test_reading_ends_where_the_topic_ended_when_it_began(broker):
    """A reader that is slower than who writes would never end otherwise."""
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(1000))
    found: list[int] = []
    for batch in read_topic(config, topics.TICKS_RAW, batch_size=100):
        found += [int(value) for value in batch.values]
        if len(found) < 3000:
            fill(config, numbered(200, first=5000))
    assert sorted(found) == list(range(1000))


@pytest.mark.apache
def test_an_open_transaction_is_no_part_of_what_is_read(apache_kafka, group: str):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    older = writer(config, group)
    older.write(output(0, 10))
    older.commit()
    older.write(output(10, 20))
    found = [value for each in read_topic(config, topics.PREDICTIONS) for value in each.values]
    assert found == [b"out %d" % k for k in range(10)]
    older.abort()


def test_an_empty_topic_is_read_to_its_end(broker):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    assert read(config) == {0: [], 1: []}


def test_a_time_range_is_cut_at_its_milliseconds(broker):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(500))
    fill(config, numbered(500, first=500))
    found = read(config, from_ms=1_000_000 + 10 * 123, to_ms=1_000_000 + 10 * 777)
    assert found == {p: [k for k in range(123, 777) if k % PARTITIONS == p] for p in (0, 1)}


def test_the_tail_holds_the_newest(broker):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(1000))
    found: dict[int, list[int]] = {0: [], 1: []}
    for batch in read_tail(config, topics.TICKS_RAW, 10):
        found[batch.partition] += [int(value) for value in batch.values]
    for partition, numbers in found.items():
        assert numbers[-10:] == list(range(980 + partition, 1000, 2))


def test_a_missing_topic_is_refused(broker):
    with pytest.raises(BrokerError, match="topic nowhere does not exist"):
        list(read_topic(broker.client_config(), "nowhere"))


def test_an_unreachable_broker_is_refused_in_time():
    [port] = free_ports(1)
    config = {"bootstrap.servers": f"127.0.0.1:{port}"}
    with pytest.raises(BrokerError, match=f"answers at 127.0.0.1:{port}"):
        ensure_topics(config, [topics.TICKS_RAW], 1, timeout_s=1.0)
    with pytest.raises(BrokerError, match=f"answers at 127.0.0.1:{port}"):
        plan_all(config, "g", topics.TICKS_RAW, 1, accept_state_loss=False, timeout_s=1.0)


def test_topics_are_created_once_and_by_the_count_that_is_there(broker):
    config = broker.client_config()
    assert ensure_topics(config, [topics.TICKS_RAW], 3) == 3
    assert ensure_topics(config, [topics.TICKS_RAW, topics.PREDICTIONS], 8) == 3
    found = AdminClient(dict(config)).list_topics(timeout=10).topics
    assert len(found[topics.PREDICTIONS].partitions) == 3


def output(first: int, next_offset: int, rebuild_from: int = 0) -> OutputBatch:
    offsets = np.arange(first, next_offset, dtype=np.int64)
    values = [b"out %d" % offset for offset in offsets.tolist()]
    records = [Records(topics.PREDICTIONS, offsets, [None] * len(values), values)]
    return OutputBatch(1, next_offset, rebuild_from, True, True, records)


def writer(config, group: str) -> TransactionalWriter:
    made = TransactionalWriter(Target(config, group, topics.TICKS_RAW, 1, 30_000))
    made.take_over()
    return made


def planned(config, group: str) -> list[Start]:
    """Return the starts without the topic's id."""
    starts = plan_all(config, group, topics.TICKS_RAW, PARTITIONS, accept_state_loss=False)
    return [replace(start, topic_id=None) for start in starts]


def visible(config) -> list[bytes]:
    return [message.value for message in tools.read_topic(config, topics.PREDICTIONS)]


def test_outputs_and_position_survive_the_writer(broker, group: str):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(100))
    first = writer(config, group)
    assert first.floor == 0
    for start in range(0, 30, 10):
        first.write(output(start, start + 10))
    first.commit()
    second = writer(config, group)
    assert second.floor == 30
    second.write(output(20, 40, rebuild_from=7))
    second.commit()
    assert visible(config) == [b"out %d" % k for k in range(40)]
    assert committed(config, group, topics.TICKS_RAW, 2)[1].offset == 40
    starts = planned(config, group)
    assert starts[0] == Start(0, 0, 0)
    assert starts[1] in {Start(1, 7, 40), Start(1, 0, 40)}  # the embedded broker forgets metadata


@pytest.mark.apache
def test_the_commit_says_where_to_rebuild_from(apache_kafka, group: str):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(100))
    first = writer(config, group)
    first.write(output(0, 40, rebuild_from=7))
    first.commit()
    starts = planned(config, group)
    assert starts[1] == Start(1, 7, 40)


@pytest.mark.apache
def test_what_an_owner_left_open_is_never_seen_and_it_is_fenced(apache_kafka, group: str):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    older = writer(config, group)
    older.write(output(0, 10))
    older.commit()
    older.write(output(10, 20))
    younger = writer(config, group)
    assert younger.floor == 10
    with pytest.raises(FencedError, match="younger instance"):
        older.commit()
    younger.write(output(10, 15))
    younger.commit()
    assert visible(config) == [b"out %d" % k for k in range(15)]


@pytest.mark.apache
def test_a_start_is_planned_while_an_earlier_owner_is_in_a_transaction(apache_kafka, group: str):
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(100))
    older = writer(config, group)
    older.write(output(0, 10))
    older.commit()
    older.write(output(10, 20))
    older._send_offsets(20, "", 10.0)  # dies between the offsets and the commit
    starts = planned(config, group)
    assert starts[1] == Start(1, 0, 10)
    assert writer(config, group).floor == 10


def test_a_source_reads_from_its_start_and_says_that_it_has_caught_up(broker, group: str):
    config = broker.client_config()
    create_topics(config, PARTITIONS)
    fill(config, numbered(1000))
    starts = [Start(0, 0, 0), Start(1, 100, 300)]
    source = CommittedSource(config, group, topics.TICKS_RAW, starts, 64, threading.Event())
    part = source.build_part("step", partition_key(1), None)
    batches = []

    def caught_up() -> bool:
        found = list(part.next_batch())
        batches.extend(found)
        return any(batch.caught_up and batch.next_offset == 500 for batch in found)

    until(caught_up, "the end of the log", every_s=0.001)
    part.close()
    offsets = [offset for batch in batches for offset in batch.offsets]
    assert offsets == list(range(100, 500))
    assert [offset for b in batches if not b.emit for offset in b.offsets] == list(range(100, 300))
    assert all(len(batch.values) <= 64 for batch in batches)
