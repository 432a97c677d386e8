"""Topics are created before any flow starts, once, with the number of partitions asked for."""

import re
from pathlib import Path

from schemas import topics
from tests.support.embedded import EmbeddedBroker
from tests.support.polling import free_ports
from tests.support.processes import run


def test_topics_are_created_once_and_stay_as_they_are(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    for asked in ("3", "5"):
        env = {**embedded_broker.environment(), "VOLTICK_PARTITIONS": asked}
        done = run(["-m", "flows.topics"], tmp_path, env)
        assert done.returncode == 0, done.stderr
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
