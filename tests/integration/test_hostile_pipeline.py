"""Hostile messages through the running pipeline: nothing stops it, nothing is lost."""

import os
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import structlog
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from flows.connectors.kafka import admin
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from tests.conftest import Broker
from tests.fuzz.account import account_of
from tests.fuzz.messages import hostile_messages
from tests.oracle.expectation import expect
from tests.proof.checker import Outputs, first_of_each
from tests.proof.scores import Store
from tests.support.kafka.tools import create_topics, fill, read_topic
from tests.support.processes import flow

PARTITIONS = 3
COUNT = 4_000
BIG = (
    os.urandom(65_537),
    os.urandom(700_000),  # in base64 just below the usual limit of a topic
    os.urandom(1_040_000),  # above it
    b"[" * 1_000_000,
    b'{"price":' + b" " * 20_000_000 + b"1}",  # some kilobytes in a compressed batch
)


def produce_big(config: dict[str, str]) -> None:
    failures: list[str] = []
    producer = Producer({**config, "message.max.bytes": 100_000_000, "compression.type": "gzip"})
    for value in BIG:
        producer.produce(
            topics.TICKS_RAW,
            value,
            partition=1,
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
        assert producer.flush(60) == 0
    producer.close()
    assert failures == []


@pytest.mark.timeout(240)
def test_hostile_messages_are_each_accounted_for(
    broker: Broker, group: str, tmp_path: Path
) -> None:
    config = broker.client_config()
    admin.ensure_topics(config, [topics.DEAD_LETTERS], PARTITIONS, broker.replication)
    # The others with the broker's own limits, as where somebody else has made them.
    create_topics(config, PARTITIONS)
    messages = list(hostile_messages(77, COUNT, PARTITIONS))
    fill(config, messages[: COUNT // 2])
    produce_big(config)
    fill(config, messages[COUNT // 2 :])
    settings = {
        **broker.environment(),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "VOLTICK_GROUP": group,
        "VOLTICK_MODEL_STORE": str(tmp_path / "models"),
        "VOLTICK_TARGETS": "volatility_spike",
    }
    raw = read_topic(config, topics.TICKS_RAW, at_least=COUNT + len(BIG))
    expected = expect(raw)
    with flow("flows.pipeline", tmp_path, settings) as process:
        process.wait_for_log("pipeline ready", 60)
        letters = read_topic(
            config, topics.DEAD_LETTERS, at_least=len(expected.dead_letters), deadline_s=90
        )
        outputs = Outputs(
            read_topic(config, topics.PREDICTIONS, at_least=len(expected.rows)),
            read_topic(config, topics.TICKS_FEATURES, at_least=len(expected.rows)),
            letters,
        )
        assert process.running, process.tail()
    found = [msgspec.json.decode(message.value, type=DeadLetter) for message in letters]
    cut = [letter for letter in found if "(first " in letter.detail]
    assert [len(letter.payload) for letter in cut] == [3_133_440]
    assert cut[0].detail.endswith(f"(first 3133440 of {len(BIG[-1])} bytes)")
    origins = {(letter.partition, letter.offset) for letter in cut}
    account = account_of(raw, outputs, Store(tmp_path / "models"))
    defects = [defect for defect in account.defects if defect.origin not in origins]
    assert [str(defect) for defect in first_of_each(defects)] == []
    assert account.inputs == COUNT + len(BIG)
    sizes = Counter(len(letter.payload) for letter in found if letter.reason is Reason.TOO_LARGE)
    assert all(sizes[len(value)] for value in BIG[:-1])


@pytest.mark.apache
@pytest.mark.timeout(240)
def test_dead_letters_are_cut_where_the_users_topic_takes_less(apache_kafka) -> None:
    """The limit of a topic that Voltick has not created is its owner's."""
    config = apache_kafka.client_config()
    create_topics(config, 1, names=[topics.DEAD_LETTERS], settings={"max.message.bytes": "70000"})
    with structlog.testing.capture_logs() as lines:
        assert admin.message_limit(config, topics.DEAD_LETTERS, 4_000_000) == 70_000
    assert "max.message.bytes is low: longer messages are cut" in lines[0]["event"]
    resource = ConfigResource(ResourceType.TOPIC, topics.DEAD_LETTERS)
    client = AdminClient(config)  # its answers end with it
    [answer] = client.describe_configs([resource]).values()
    assert answer.result(10)["max.message.bytes"].value == "70000"
    # Where the broker does not name a limit: what Kafka takes by default.
    assert admin.message_limit(config, "no.such.topic", 4_000_000) == 1_048_588


@pytest.mark.apache
def test_a_topic_that_voltick_creates_takes_whole_dead_letters(apache_kafka) -> None:
    config = apache_kafka.client_config()
    admin.ensure_topics(config, [topics.DEAD_LETTERS], 1)
    wanted = admin.DEAD_LETTER_BYTES
    assert admin.message_limit(config, topics.DEAD_LETTERS, wanted) == wanted
