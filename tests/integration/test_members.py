"""Members of a consumer group that are killed, ended and stopped: the rest take over."""

import time
from pathlib import Path

import pytest

from tests.integration.proofs import prove_spotless
from tests.proof import members
from tests.proof.cluster import Cluster, Plan
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import create_topics, fill
from tests.support.pipeline import PARTITIONS, pipeline, tick, wait_committed
from tests.support.polling import free_ports, until

pytestmark = [pytest.mark.apache, pytest.mark.timeout(420)]


def test_members_that_are_killed_or_end_or_sleep_lose_nothing_and_repeat_nothing(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    def some(cluster: Cluster) -> None:
        with members.Group(cluster, 7) as group:
            group.begin(2)
            for act in (members.kill, members.sleep, members.leave):
                act(group)
            said = cluster.incarnations.started[2].stderr
            # The third was started beside another one, which kept the partitions meanwhile.
            assert 0 < said.find("others own the partitions") < said.find("partitions assigned")

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


def test_processes_with_the_same_settings_share_and_a_named_one_comes_back_after_a_kill(
    apache_kafka: ApacheKafka, group: str, tmp_path: Path
) -> None:
    config = apache_kafka.client_config()
    create_topics(config, PARTITIONS)
    fill(config, [tick(number) for number in range(100)])
    ports = free_ports(2)
    session_s = 120.0

    def start(number: int):
        return pipeline(
            apache_kafka,
            group,
            tmp_path,
            f"member-{number}",
            VOLTICK_METRICS_PORT=str(ports[number]),
            VOLTICK_INSTANCE_ID=f"named-{number}",
            VOLTICK_SESSION_TIMEOUT_MS=f"{session_s * 1000:.0f}",
        )

    def shares() -> list[set[int]]:
        return [members.owned_at(port) for port in ports]

    with start(0) as first, start(1) as second:
        until(lambda: sorted(map(len, shares())) == [1, 1], "a partition for each", 60.0)
        wait_committed(apache_kafka, group, 100)
        mine, other = shares()
        assert mine | other == set(range(PARTITIONS))
        begin_s = time.monotonic()
        second.kill()
        fill(config, [tick(number) for number in range(100, 200)])
        with start(1):
            # Long before the group would have given the killed one up.
            wait_committed(apache_kafka, group, 200)
            assert time.monotonic() - begin_s < session_s
            assert shares() == [mine, other]
        assert first.running, first.tail()


@pytest.mark.parametrize(
    ("seed", "workers", "protocol"),
    [(82, 1, "classic"), (83, 2, "consumer")],
    ids=["one worker, classic protocol", "two workers, consumer protocol"],
)
def test_a_killed_members_partitions_go_on_from_the_state_that_was_followed(
    apache_kafka: ApacheKafka, tmp_path: Path, seed: int, workers: int, protocol: str
) -> None:
    counted: list[float] = []
    said: list[str] = []

    def kill_one(cluster: Cluster) -> None:
        with members.Group(cluster, 9) as group:
            group.begin(2)
            victim, heir = group.running
            left = group.owned(victim)
            until(lambda: left <= group.followed(heir), "the other's partitions to be followed", 60)
            lines = len(heir.stderr.splitlines())
            before = group.metric(heir, "voltick_rebuilt_ticks_total")

            def act() -> None:
                cluster.incarnations.kill(victim)
                group.drop(victim)

            group.go_on("kill", left, act)
            counted.append(group.metric(heir, "voltick_rebuilt_ticks_total") - before)
            since = heir.stderr.splitlines()[lines:]
            said.extend(line for line in since if "standby state" in line)
            assert len(said) == len(left), heir.tail()

    plan = Plan(
        seed,
        ticks=2_000,
        before=800,
        rate_hz=150,
        oracle_rows=100,
        uninterrupted=False,
        workers=workers,
        settings={
            "VOLTICK_ASSIGNMENT": "group",
            "VOLTICK_STANDBY": "1",
            "VOLTICK_GROUP_PROTOCOL": protocol,
        },
    )
    prove_spotless(apache_kafka, plan, tmp_path, kill_one)
    assert all("taken over" in line for line in said), said
    # The dead commit nothing: the whole session long there was time to follow the rest.
    assert counted == [0]
