"""The check of a topic as a command: on both brokers by what lies there, and beside a pipeline."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from tests.conftest import Broker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import Outgoing, create_topics, fill
from tests.support.pipeline import PARTITIONS, pipeline, tick, wait_committed
from tests.support.processes import run


def check(broker: Broker, folder: Path, *arguments: str, group: str = "g") -> tuple[int, Any]:
    environment = {**broker.environment(), "VOLTICK_GROUP": group}
    done = run(["-m", "flows.check", *arguments, "--json"], folder, environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_what_lies_on_a_topic_is_counted_and_what_is_none_of_it_is_named(
    broker: Broker, tmp_path: Path
) -> None:
    config = broker.client_config()
    create_topics(config, PARTITIONS, broker.replication)
    ticks = [tick(number) for number in range(40)]
    bad = Outgoing(1, b"BTC-USD", b"{", ticks[-1].timestamp_ms)
    fill(config, [*ticks, tick(30), bad])

    code, told = check(broker, tmp_path, topics.TICKS_RAW, "--until-end")
    assert code == 1
    assert told["messages"] == 42
    assert told["symbols"] == 3
    assert told["duplicates"] == 1
    assert [(each["reason"], each["count"]) for each in told["errors"]] == [("not_json", 1)]
    assert told["errors"][0]["examples"][0]["partition"] == 1
    assert told["groups"] == []
    assert told["wrong"] == ["1 messages are none of the topic's: not_json"]

    code, told = check(broker, tmp_path, topics.DEAD_LETTERS, "--seconds", "1")
    assert (code, told["messages"], told["ok"]) == (0, 0, True)


def test_a_topic_that_is_none_of_ours_or_not_there_is_one_line(
    embedded_broker: Broker, tmp_path: Path
) -> None:
    environment = embedded_broker.environment()
    unknown = run(["-m", "flows.check", "orders"], tmp_path, environment)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith("voltick: topic 'orders' is none of Voltick's; topics are")
    absent = run(["-m", "flows.check", topics.CANDLES], tmp_path, environment)
    assert absent.returncode == 2
    assert "topic candles does not exist" in absent.stderr


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_a_running_pipeline_is_checked_while_it_scores(
    apache_kafka: ApacheKafka, group: str, tmp_path: Path
) -> None:
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS, apache_kafka.replication)
    fill(config, [tick(number) for number in range(100)])
    stop = threading.Event()

    def feed() -> None:
        """Write ticks until the check is over."""
        number = 100
        while not stop.wait(0.2):
            fill(config, [tick(each) for each in range(number, number + 20)])
            number += 20

    feeder = threading.Thread(target=feed, daemon=True)
    with pipeline(apache_kafka, group, tmp_path):
        wait_committed(apache_kafka, group, 100)
        feeder.start()
        try:
            code, told = check(
                apache_kafka, tmp_path, topics.PREDICTIONS, "--seconds", "10", group=group
            )
            raw_code, raw = check(
                apache_kafka, tmp_path, topics.TICKS_RAW, "--seconds", "3", group=group
            )
        finally:
            stop.set()
            feeder.join()
    assert code == 0, told["wrong"]
    assert told["messages"] > 0
    assert told["rate_hz"] > 0
    assert (told["errors"], told["duplicates"], told["late"]) == ([], 0, 0)
    assert told["symbols"] == 3
    assert raw_code == 0, raw["wrong"]
    assert [each["group"] for each in raw["groups"]] == [group]
    assert set(raw["groups"][0]["by_partition"]) == {"0", "1"}
