"""Where a topic ends while a transaction on it is open, and offsets that no message goes with.

The embedded broker tells readers of committed data that a log ends where it begins as long as a
transaction is open, and drops the offset of one without messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.admin import describe_topic
from flows.connectors.kafka.client import reader_config
from flows.connectors.kafka.lookup import bounds, true_ends
from flows.connectors.kafka.overview import BrokerView
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.connectors.parquet import layout
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.planning import plan_topic
from flows.connectors.parquet.state import State
from schemas import topics
from serving.log.reader import LogReader
from tests.conftest import Broker
from tests.support.kafka.tools import committed, create_topics
from tests.unit.connectors.kafka.fakes import output

COMMITTED = 5
LIMIT_S = 20.0


@dataclass
class Log:
    """A topic with committed messages, behind which a transaction is open."""

    broker: Broker
    topic: str = topics.PREDICTIONS

    @property
    def config(self) -> dict[str, str]:
        return self.broker.client_config()


@pytest.fixture
def log(broker: Broker, group: str) -> Iterator[Log]:
    create_topics(broker.client_config(), 1, broker.replication)
    made = Log(broker)
    producer = Producer({**made.config, "transactional.id": group, "linger.ms": 0})
    producer.init_transactions(LIMIT_S)
    for is_open in (False, True):
        producer.begin_transaction()
        for _ in range(COMMITTED):
            producer.produce(made.topic, b"{}", partition=0)
        assert producer.flush(LIMIT_S) == 0
        if not is_open:
            producer.commit_transaction(LIMIT_S)
    yield made
    producer.abort_transaction(LIMIT_S)


def test_a_log_does_not_seem_empty_to_what_reads_it(log: Log) -> None:
    consumer = Consumer(reader_config(log.config, "reader"))
    told = bounds(consumer, log.topic, 0, LIMIT_S)
    assert true_ends(consumer, log.topic, {0: told})[0] >= COMMITTED
    consumer.close()


def test_an_empty_log_ends_where_it_begins(log: Log) -> None:
    consumer = Consumer(reader_config(log.config, "reader"))
    told = bounds(consumer, topics.OUTCOMES, 0, LIMIT_S)
    assert (told, true_ends(consumer, topics.OUTCOMES, {0: told})) == ((0, 0), {0: 0})
    consumer.close()


def test_a_log_does_not_seem_empty_to_the_status_and_the_api(log: Log) -> None:
    with BrokerView(log.config) as view:
        assert view.bounds([log.topic])[log.topic][0][1] > COMMITTED
    reader = LogReader(log.config)
    assert reader.bounds((log.topic, 0))[1] > COMMITTED
    assert reader.bounds((topics.OUTCOMES, 0)) == (0, 0)
    reader.close()


def test_an_archive_goes_on_while_a_transaction_is_open(log: Log, tmp_path) -> None:
    path = tmp_path / layout.state_file(log.topic, 0)
    path.parent.mkdir(parents=True)
    described = describe_topic(AdminClient(log.config), log.topic, LIMIT_S)
    assert described is not None
    state = State(COMMITTED, described.topic_id or "local-1")
    path.write_bytes(msgspec.json.encode(state))
    plan = plan_topic(
        log.config, "reader", open_storage(tmp_path), log.topic, 1, accept_state_loss=False
    )
    assert plan.beginnings[0].offset == COMMITTED


def test_offsets_are_kept_that_no_message_goes_with(broker: Broker, group: str) -> None:
    create_topics(broker.client_config(), 4, broker.replication)
    target = Target(broker.client_config(), group, topics.TICKS_RAW, 3, 30_000)
    writer = TransactionalWriter(target)
    writer.take_over()
    at = 0
    for is_bare in (False, True, True, False, True):
        first, at = at, at + 3
        writer.write(output(first, at, records=[]) if is_bare else output(first, at))
        writer.commit()
        assert committed(broker.client_config(), group, topics.TICKS_RAW, 4)[3].offset == at
