"""Exactly once on Apache Kafka: kills and zombies leave nothing missing, twice or different."""

from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.connectors.kafka.reader import committed_offsets
from schemas import topics
from tests.integration.proofs import prove_spotless
from tests.proof.cluster import Cluster, Plan
from tests.proof.faults import kill_by_plan, long_sleep, second_instance, zombie
from tests.proof.feeder import Rhythm
from tests.proof.soak.run import Plan as SoakPlan
from tests.proof.soak.run import soak
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import create_topics

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def small(seed: int, **more: object) -> Plan:
    return Plan(seed, ticks=8_000, rate_hz=800, oracle_rows=200, **more)


def test_five_sigkills_under_load(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    plan = Plan(seed=17, kills=5, ticks=12_000, before=4_000, rate_hz=800, oracle_rows=500)
    result = prove_spotless(apache_kafka, plan, tmp_path, kill_by_plan)
    assert (result.kills, result.fenced) == (5, 0)


def test_older_instances_end_fenced(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    """One that was paused while another took over, and one that another was started beside."""

    def both(cluster: Cluster) -> None:
        zombie(cluster)
        cluster.incarnations.end_all()
        second_instance(cluster)

    prove_spotless(apache_kafka, small(18), tmp_path, both)


def test_instance_that_slept_over_its_transaction(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    plan = small(20, settings={"VOLTICK_TRANSACTION_TIMEOUT_MS": "3000"})
    prove_spotless(apache_kafka, plan, tmp_path, partial(long_sleep, asleep_s=5.0))


def test_soak_of_some_seconds_accounts_for_every_prediction(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """Too short to judge memory by, long enough to see that everything is looked at."""
    plan = SoakPlan(5, 0.1, Rhythm(300, 1_200, every_s=3, burst_s=1), sample_s=1.0)
    said: list[str] = []
    found = soak(apache_kafka, plan, tmp_path, said.append)
    assert found.predictions == found.inputs > 1_000, found.wrong
    assert (found.missing, found.twice) == (0, 0)
    assert not [wrong for wrong in found.wrong if "said" in wrong or "ended" in wrong]
    assert found.samples[-1].lag == {"pipeline": 0, "outcomes": 0}
    assert {"pipeline", "outcomes", "kafka-1"} < set(found.samples[-1].rss_mb)
    assert sum(found.commit.values()) > 0
    assert sum(found.latency.values()) > 0


def test_commits_are_told_while_a_transaction_is_open(
    apache_kafka: ApacheKafka, group: str
) -> None:
    """A busy pipeline has one open nearly all the time; the broker tells stable commits only."""
    config = apache_kafka.client_config()
    create_topics(config, 1)
    producer = Producer({**config, "transactional.id": group})
    producer.init_transactions(30)
    consumer = Consumer({**config, "group.id": group})
    try:
        for offset in (3, 8):
            producer.begin_transaction()
            position = TopicPartition(topics.TICKS_RAW, 0, offset)
            producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata(), 30)
            if offset == 3:
                producer.commit_transaction(30)
        assert committed_offsets(config, group, topics.TICKS_RAW) == {0: 3}
    finally:
        producer.abort_transaction(30)
        producer.close()
        consumer.close()
