"""The broker stops answering, dies or fills its disk: the pipeline recovers, nothing is lost."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.proofs import prove_spotless
from tests.proof.broker_faults import broker_kill, broker_pause, disk_full
from tests.proof.cluster import Cluster, Plan
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import delete_topics

pytestmark = [pytest.mark.apache, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def disturbed_kafka(
    kafka_jars: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path_factory.mktemp("disturbed-kafka")) as kafka:
        yield kafka


@pytest.fixture
def own_kafka(disturbed_kafka: ApacheKafka) -> ApacheKafka:
    delete_topics(disturbed_kafka.client_config())
    return disturbed_kafka


def small(seed: int) -> Plan:
    return Plan(seed, ticks=6_000, before=2_000, rate_hz=300, oracle_rows=200, uninterrupted=False)


def test_broker_dies_and_stops_answering_under_load(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    def both(cluster: Cluster) -> None:
        broker_pause(cluster, asleep_s=4.0)
        cluster.incarnations.end_all()
        broker_kill(cluster)

    prove_spotless(own_kafka, small(31), tmp_path, both)


@pytest.mark.skipif(sys.platform != "linux", reason="the disk is filled by Linux's file limits")
def test_full_disk_cuts_a_batch_in_two(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    plan = replace(small(32), broker_loses_input=True)
    prove_spotless(own_kafka, plan, tmp_path, lambda cluster: disk_full(cluster, times=1))
