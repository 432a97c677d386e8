"""The running outcomes flow: every outcome once, also under kills, and live quality in Redis."""

from collections import Counter
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from flows.host.lossy_output import SAID_BY
from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.predictions import Outcome
from tests.support.api import api
from tests.support.kafka.tools import Outgoing, committed, create_topics, fill, read_topic
from tests.support.models import RETURN, SPIKE, publish_tiny
from tests.support.outcomes import expected, stream
from tests.support.polling import until
from tests.support.processes import Process, flow

PARTITIONS = 2
SPECS = {"volatility_spike": SPIKE, "forward_return": RETURN}


class OutcomesFlow:
    """Two partitions of predictions, and the outcomes they must have."""

    def __init__(self, broker, group: str, folder: Path, count: int) -> None:
        self.broker, self.group, self.folder = broker, group, folder
        store = ModelStore(folder / "models")
        models = {
            name: publish_tiny(store, 0.2, name=name, target=spec) for name, spec in SPECS.items()
        }
        self.made = [stream(seed, count, models, pace_s=0.5) for seed in range(PARTITIONS)]
        create_topics(broker.client_config(), PARTITIONS)

    def write(self, first: int, end: int) -> None:
        fill(
            self.broker.client_config(),
            [
                Outgoing(part, each.symbol.encode(), msgspec.json.encode(each), 1)
                for part, made in enumerate(self.made)
                for each in made[first:end]
            ],
            topics.PREDICTIONS,
        )

    def flow(self, name: str = "outcomes", **more: str) -> Process:
        settings = {
            **self.broker.environment(),
            "VOLTICK_GROUP": self.group,
            "VOLTICK_MODEL_STORE": str(self.folder / "models"),
            "VOLTICK_PARTITIONS": str(PARTITIONS),
            **more,
        }
        return flow("flows.outcomes", self.folder, settings, name)

    def committed(self) -> int:
        found = committed(
            self.broker.client_config(),
            f"{self.group}-outcomes",
            topics.PREDICTIONS,
            PARTITIONS,
        )
        return sum(each.offset for each in found.values() if each.offset >= 0)

    def wait_committed(self, each: int) -> None:
        until(lambda: self.committed() >= each * PARTITIONS, f"{each} committed", 90.0)

    def assert_every_outcome_once(self) -> None:
        wanted = [expected(made, SPECS) for made in self.made]
        total = sum(map(len, wanted))
        assert total > 0
        messages = read_topic(self.broker.client_config(), topics.OUTCOMES, at_least=total)
        found = [
            (each.partition, msgspec.json.decode(each.value, type=Outcome)) for each in messages
        ]
        counts = Counter((part, outcome.offset) for part, outcome in found)
        assert set(counts) == {(part, at) for part in range(PARTITIONS) for at in wanted[part]}
        assert set(counts.values()) == {1}
        for part, outcome in found:
            known, labels = wanted[part][outcome.offset]
            assert outcome.known_offset == known
            got = {name: (own.value, own.truth) for name, own in outcome.scores.items()}
            assert got == labels
        for part in range(PARTITIONS):
            known = [outcome.known_offset for at, outcome in found if at == part]
            assert known == sorted(known)


@pytest.mark.timeout(240)
def test_every_prediction_gets_its_outcome_once_and_the_flow_ends_cleanly(broker, group, tmp_path):
    running = OutcomesFlow(broker, group, tmp_path, 3000)
    running.write(0, 2000)
    with running.flow("first") as first:
        running.wait_committed(2000)
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    running.write(2000, 3000)
    with running.flow("second") as second:
        running.wait_committed(3000)
        second.interrupt()
        assert second.wait_exit(30) == 0, second.tail()
    running.assert_every_outcome_once()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_nothing_is_missing_or_twice_after_kills(apache_kafka, group, tmp_path):
    running = OutcomesFlow(apache_kafka, group, tmp_path, 12_000)
    random = np.random.default_rng(5)
    running.write(0, 2000)
    for number in range(4):
        # Reading all partitions, no start waits for a killed member's session to end.
        settings = {"VOLTICK_BATCH_SIZE": "200", "VOLTICK_ASSIGNMENT": "all"}
        with running.flow(f"run-{number}", **settings) as process:
            before = running.committed()
            running.write(2000 * (number + 1), 2000 * (number + 2))
            wanted = before + int(random.integers(1, 3000))
            until(lambda enough=wanted: running.committed() >= enough, "some progress", 60.0)
            process.kill()
    running.write(10_000, 12_000)
    with running.flow("last"):
        running.wait_committed(12_000)
    running.assert_every_outcome_once()


@pytest.mark.timeout(240)
def test_live_quality_reaches_the_api(embedded_broker, group, valkey, tmp_path):
    running = OutcomesFlow(embedded_broker, group, tmp_path, 3000)
    running.write(0, 3000)
    with running.flow(REDIS_URL=valkey.url), api(tmp_path, valkey.url) as address:

        def points(target: str) -> list[dict]:
            answer = httpx.get(f"{address}/quality?target={target}", timeout=10)
            return answer.json()["points"]

        until(lambda: points("volatility_spike"), "live quality", 60.0)
        running.wait_committed(3000)
        until(lambda: points("forward_return"), "live quality of the forecast", 30.0)
        newest = points("volatility_spike")[-1]
        assert [model["role"] for model in newest["models"]] == ["champion", "challenger"]
        for model in newest["models"]:
            assert 0 < model["pr_auc"] <= 1
            assert 0 < model["prevalence"] < 1
        assert points("forward_return")[-1]["models"][0]["rmse"] > 0


def test_unreachable_broker_is_one_line(tmp_path):
    settings = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    with flow("flows.outcomes", tmp_path, settings) as process:
        assert process.wait_exit(60) == 2, process.tail()
        errors = [line for line in process.stderr.splitlines() if line.startswith(SAID_BY)]
        assert len(errors) == 1
        assert "127.0.0.1:1" in errors[0]


def test_missing_broker_is_one_line(tmp_path):
    with flow("flows.outcomes", tmp_path, {}) as process:
        assert process.wait_exit(60) == 2, process.tail()
        assert f"{SAID_BY}KAFKA_BOOTSTRAP_SERVERS is not set" in process.stderr
