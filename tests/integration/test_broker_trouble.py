"""The broker stops answering or dies under load: the pipeline recovers with the same guarantees."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scenes import prove_spotless
from tests.proof.scene import Plan, Scene
from tests.proof.torments import broker_kill, broker_pause
from tests.support.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def own_kafka(kafka_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path_factory.mktemp("tormented-kafka")) as kafka:
        yield kafka


def test_broker_dies_and_stops_answering_under_load(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    def both(scene: Scene) -> None:
        broker_pause(scene, asleep_s=4.0)
        scene.lives.end_all()
        broker_kill(scene)

    plan = Plan(31, ticks=8_000, rate_hz=500, oracle_rows=200, uninterrupted=False)
    prove_spotless(own_kafka, plan, tmp_path, both)
