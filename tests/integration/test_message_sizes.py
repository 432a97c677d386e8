"""A topic that takes smaller batches than Kafka has by default: named once, heeded from then on."""

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from flows.host.lossy_output import SAID_BY
from schemas import topics
from schemas.predictions import Prediction
from tests.support.kafka.tools import create_topics, fill
from tests.support.pipeline import PARTITIONS, decoded, pipeline, tick, wait_committed

LIMIT_BYTES = 3_000  # some four predictions
BACKLOG = 3_000


def take_less(config: dict[str, str], topic: str) -> None:
    entry = ConfigEntry(
        "max.message.bytes", str(LIMIT_BYTES), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(config)
    [answer] = admin.incremental_alter_configs([resource]).values()
    answer.result(20)


@pytest.mark.apache
@pytest.mark.timeout(240)
def test_a_limit_that_is_lowered_is_named_and_the_next_start_keeps_to_it(
    apache_kafka, group, tmp_path
):
    topic = topics.PREDICTIONS
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    with pipeline(apache_kafka, group, tmp_path, VOLTICK_ASSIGNMENT="all") as before:
        before.wait_for_log("pipeline ready", 90.0)
        fill(config, [tick(number) for number in range(30)])
        wait_committed(apache_kafka, group, 30)
        take_less(config, topic)
        before.pause()  # until there is a backlog
        fill(config, [tick(number) for number in range(30, BACKLOG)])
        before.resume()
        assert before.wait_exit(90) == 2, before.tail()
    [line] = [each for each in before.stderr.splitlines() if each.startswith(SAID_BY)]
    assert f"to {topic}: Broker: Message size too large; raise its max.message.bytes to" in line
    with pipeline(apache_kafka, group, tmp_path, "again", VOLTICK_ASSIGNMENT="all") as after:
        wait_committed(apache_kafka, group, BACKLOG)
        after.terminate()
        assert after.wait_exit(30) == 0, after.tail()
    assert len(decoded(config, topic, Prediction, BACKLOG)) == BACKLOG
