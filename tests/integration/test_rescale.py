"""More, fewer and younger processes over the same partitions: nothing missing or twice."""

from pathlib import Path

import pytest

from tests.integration.proofs import prove_spotless
from tests.proof.cluster import Cluster, Plan
from tests.proof.faults import lost_worker, rescale, rolling_restart
from tests.support.kafka.apache import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def test_one_two_four_one_processes_and_a_lost_worker(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    def both(cluster: Cluster) -> None:
        rescale(cluster)
        lost_worker(cluster)

    plan = Plan(71, partitions=8, ticks=8_000, rate_hz=800, oracle_rows=100, uninterrupted=False)
    prove_spotless(apache_kafka, plan, tmp_path, both)


def test_younger_cluster_takes_over_from_the_older(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    plan = Plan(72, ticks=8_000, rate_hz=800, oracle_rows=100, uninterrupted=False)
    result = prove_spotless(apache_kafka, plan, tmp_path, lambda s: rolling_restart(s, restarts=1))
    assert len(result.standstills_s) == 1
