"""The test support itself: what later suites rest on."""

import pytest

from schemas import topics
from tests.conftest import Broker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import (
    Outgoing,
    committed,
    create_topics,
    delete_topics,
    fill,
    read_topic,
)


def _messages(count: int) -> list[Outgoing]:
    return [
        Outgoing(number % 3, b"BTC-USD", b"%d" % number, 1_700_000_000_000 + number)
        for number in range(count)
    ]


def test_messages_come_back_from_their_partition_in_order(broker: Broker, group: str) -> None:
    config = broker.client_config()
    create_topics(config, 3, broker.replication)
    sent = _messages(3000)

    assert fill(config, sent) == len(sent)

    found = read_topic(config, topics.TICKS_RAW, at_least=len(sent))
    for partition in range(3):
        mine = [message for message in found if message.partition == partition]
        assert [message.value for message in mine] == [
            message.value for message in sent if message.partition == partition
        ]
        assert [message.offset for message in mine] == list(range(1000))
    assert found[0].timestamp_ms >= 1_700_000_000_000
    assert committed(config, group, topics.TICKS_RAW, 3)[0].offset < 0


def test_recreated_topics_are_empty(broker: Broker) -> None:
    config = broker.client_config()
    create_topics(config, 3, broker.replication)
    fill(config, _messages(30))
    delete_topics(config)
    create_topics(config, 2, broker.replication)

    assert read_topic(config, topics.TICKS_RAW) == []


@pytest.mark.apache
@pytest.mark.slow
def test_killed_node_comes_back_with_its_data(kafka_jars: str, tmp_path_factory) -> None:
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        create_topics(kafka.client_config(), 3)
        fill(kafka.client_config(), _messages(300))
        kafka.nodes[0].kill()
        kafka.start()

        assert len(read_topic(kafka.client_config(), topics.TICKS_RAW)) == 300
