"""Exactly once on Apache Kafka: kills and zombies leave nothing missing, twice or different."""

from pathlib import Path

import pytest

from tests.integration.scenes import prove_spotless
from tests.proof.scene import Plan, Scene
from tests.proof.torments import kill_by_plan, long_sleep, second_instance, zombie
from tests.support.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def small(seed: int, **more: object) -> Plan:
    return Plan(seed, ticks=8_000, rate_hz=800, oracle_rows=200, uninterrupted=False, **more)


def test_five_sigkills_under_load(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    plan = Plan(seed=17, kills=5, ticks=12_000, before=4_000, rate_hz=800, oracle_rows=500)
    verdict = prove_spotless(apache_kafka, plan, tmp_path, kill_by_plan)
    assert verdict.kills == 5


def test_older_instances_end_fenced(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """One that was paused while another took over, and one that another was started beside."""

    def both(scene: Scene) -> None:
        zombie(scene)
        scene.lives.end_all()
        second_instance(scene)

    prove_spotless(apache_kafka, small(18), tmp_path, both)


def test_instance_that_slept_over_its_transaction(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    plan = small(20, settings={"VOLTICK_TRANSACTION_TIMEOUT_MS": "1500"})
    prove_spotless(apache_kafka, plan, tmp_path, long_sleep)
