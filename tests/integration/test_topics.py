"""Topics are created before any flow starts, once, with the number of partitions asked for."""

import re
from pathlib import Path

import pytest
import structlog
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from flows.connectors.kafka.admin import ensure_topics
from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import create_topics, fill
from tests.support.pipeline import tick
from tests.support.polling import free_ports
from tests.support.processes import run


def test_topics_are_created_once_and_stay_as_they_are(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    for asked in ("3", "5"):
        env = {**embedded_broker.environment(), "VOLTICK_PARTITIONS": asked}
        done = run(["-m", "flows.topics"], tmp_path, env)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [f"{name}: 3 partitions" for name in topics.ALL]


def test_a_broker_that_does_not_come_up_is_one_line(tmp_path: Path) -> None:
    [port] = free_ports(1)
    env = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}
    done = run(["-m", "flows.topics", "--wait", "1"], tmp_path, env)
    assert done.returncode == 2
    assert re.fullmatch(r"voltick: [^\n]*127\.0\.0\.1[^\n]*\n", done.stderr.splitlines(True)[-1])


def test_without_a_broker_there_is_nothing_to_create(tmp_path: Path) -> None:
    done = run(["-m", "flows.topics"], tmp_path, {})
    assert done.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in done.stderr


@pytest.mark.apache
@pytest.mark.timeout(240)
def test_a_topic_that_merges_messages_by_key_is_refused_and_named(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Of a compacted ``ticks.raw`` a run finds some ticks gone, and none of its errors says so."""
    config = apache_kafka.client_config()
    compacted = {"cleanup.policy": "compact", "retention.ms": "3600000"}
    create_topics(config, 1, names=[topics.TICKS_RAW], settings=compacted)
    environment = apache_kafka.environment()
    for program in (["-m", "flows.topics"], ["-m", "bytewax.run", "flows.candles"]):
        refused = run(program, tmp_path, environment)
        assert refused.returncode == 2
        line = refused.stderr.splitlines()[-1]
        assert "topic ticks.raw has cleanup.policy=compact:" in line
        assert "set cleanup.policy=delete" in line
    fill(config, [tick(number) for number in range(3) if number % 2 == 0])
    checked = run(["-m", "flows.check", "ticks.raw", "--until-end"], tmp_path, environment)
    assert checked.returncode == 1
    assert "wrong: topic ticks.raw has cleanup.policy=compact" in checked.stdout


@pytest.mark.apache
def test_what_is_deleted_too_soon_is_said_and_the_ids_of_redriven_letters_are_kept(
    apache_kafka: ApacheKafka,
) -> None:
    config = apache_kafka.client_config()
    create_topics(config, 1, names=[topics.TICKS_RAW], settings={"retention.ms": "3600000"})
    with structlog.testing.capture_logs() as lines:
        ensure_topics(config, [topics.TICKS_RAW, topics.REDRIVEN], 1)
    assert [each["event"].partition(":")[0].partition(",")[0] for each in lines] == [
        "topic ticks.raw has retention.ms=3600000"
    ]
    client = AdminClient(config)  # its answers end with it
    [answer] = client.describe_configs(
        [ConfigResource(ResourceType.TOPIC, topics.REDRIVEN)]
    ).values()
    assert answer.result(10)["retention.ms"].value == "-1"
