"""Members of a consumer group that are killed, ended and stopped: the rest take over."""

from pathlib import Path

import pytest

from tests.integration.proofs import prove_spotless
from tests.proof import members
from tests.proof.cluster import Cluster, Plan
from tests.support.kafka.apache import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def test_members_that_are_killed_or_end_or_sleep_lose_nothing_and_repeat_nothing(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    def some(cluster: Cluster) -> None:
        with members.Group(cluster, 7) as group:
            group.begin(2)
            for act in (members.kill, members.sleep, members.leave):
                act(group)

    plan = Plan(
        81,
        ticks=2_000,
        before=600,
        rate_hz=150,
        oracle_rows=100,
        uninterrupted=False,
        settings={"VOLTICK_ASSIGNMENT": "group"},
    )
    result = prove_spotless(apache_kafka, plan, tmp_path, some)
    assert {"kill", "sleep", "term"} <= result.pauses_s.keys()
