"""``python -m training.audit`` over what a running pipeline served."""

import json
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.predictions import FeatureRow, Prediction
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.tools import Outgoing, create_topics, fill, read_topic
from tests.support.pipeline import PARTITIONS, pipeline, settings, tick, wait_committed
from tests.support.processes import Process

COUNT = 600


def audit(broker: EmbeddedBroker, group: str, folder: Path, name: str) -> tuple[int, dict, str]:
    """Return exit code, the line of JSON, and what went to stderr."""
    with Process(
        ["-m", "training.audit", "--from", "kafka"], folder, settings(broker, group, folder), name
    ) as process:
        code = process.wait_exit(120)
        assert process.stdout.strip(), process.tail()
        return code, json.loads(process.stdout.splitlines()[-1]), process.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_healthy_run_is_clean_and_what_is_corrupted_is_found(
    embedded_broker: EmbeddedBroker, group: str, tmp_path: Path
) -> None:
    config = embedded_broker.client_config()
    create_topics(config, PARTITIONS)
    ticks = [tick(number) for number in range(COUNT)]
    broken = Outgoing(0, b"BTC-USD", b"not json", ticks[-1].timestamp_ms)
    fill(config, [*ticks, broken, ticks[-1]])
    packed = {"VOLTICK_FEATURES_FORMAT": "base64"}
    with pipeline(embedded_broker, group, tmp_path, **packed) as process:
        wait_committed(embedded_broker, group, COUNT + 2)
        process.terminate()
        assert process.wait_exit(60) == 0, process.tail()

    code, line, said = audit(embedded_broker, group, tmp_path, "healthy")
    assert code == 0, said
    assert line["clean"] is True
    for topic in (topics.PREDICTIONS, topics.TICKS_FEATURES):
        assert line[topic] == {
            "expected": COUNT,
            "served": COUNT,
            "missing": 0,
            "extra": 0,
            "different": 0,
        }
    assert line[topics.DEAD_LETTERS]["served"] == 1
    [model] = line["models"].values()
    assert model["scores"] == COUNT
    assert model["worst"] <= 1e-6

    # Somebody else writes to the topics: a prediction twice, a row for a tick that has none,
    # in the other form.
    last = read_topic(config, topics.PREDICTIONS)[-1]
    row = read_topic(config, topics.TICKS_FEATURES)[-1]
    assert b'"values_f32":"' in row.value
    twice = msgspec.json.decode(last.value, type=Prediction)
    stray = msgspec.structs.replace(msgspec.json.decode(row.value, type=FeatureRow), offset=0)
    foreign = msgspec.structs.replace(stray, values=[None] * len(stray.values))
    fill(config, [Outgoing(last.partition, None, last.value, 0)], topics.PREDICTIONS)
    fill(
        config,
        [Outgoing(row.partition, None, msgspec.json.encode(foreign), 0)],
        topics.TICKS_FEATURES,
    )
    code, line, said = audit(embedded_broker, group, tmp_path, "corrupted")
    assert code == 1
    assert line["clean"] is False
    assert line[topics.PREDICTIONS]["extra"] == 1
    assert line[topics.TICKS_FEATURES]["extra"] == 1
    assert f"offset={twice.offset}" in said
    assert "Traceback" not in said
