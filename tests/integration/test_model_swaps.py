"""Fifty model swaps under load, some of them broken: every prediction names who scored it."""

from collections import defaultdict
from pathlib import Path
from typing import Self

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.scoring.registry import ModelStore
from schemas import topics
from schemas.models import Aliases
from schemas.predictions import Prediction
from tests.integration.proofs import prove_spotless
from tests.proof.cluster import Cluster, Plan
from tests.proof.run import read_outputs
from tests.support.embedded import EmbeddedBroker
from tests.support.models import CREATED_NS, tiny
from tests.support.polling import until

SWAPS = 50
TARGET = "volatility_spike"
BASELINE = "zscore"
_PREDICTION = msgspec.json.Decoder(Prediction)


class Served:
    """Who scored each partition so far: each version once for every run of its predictions."""

    def __init__(self, broker: EmbeddedBroker, partitions: int) -> None:
        self.runs: dict[int, list[str]] = {partition: [] for partition in range(partitions)}
        self._consumer = Consumer({**broker.client_config(), "group.id": "swaps"})
        self._consumer.assign(
            [TopicPartition(topics.PREDICTIONS, part, OFFSET_BEGINNING) for part in self.runs]
        )

    def everywhere(self, ref: str) -> bool:
        """Read on, and tell whether this version is by now the latest of every partition."""
        for message in self._consumer.consume(10_000, 0.02):
            if message.error() is None:
                add(self.runs[message.partition()], message.value())
        return all(run[-1:] == [ref] for run in self.runs.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._consumer.close()


def add(run: list[str], value: bytes) -> None:
    score = _PREDICTION.decode(value).scores[TARGET]
    ref = f"{score.model}@{score.version}"
    if run[-1:] != [ref]:
        run.append(ref)


def set_champion(store: Path, ref: str) -> None:
    """Make a version the champion as a foreign tool might: without looking at it."""
    path = store / "aliases" / f"{TARGET}.json"
    old = msgspec.json.decode(path.read_bytes(), type=Aliases)
    history = [*old.history, old.champion]
    new = msgspec.structs.replace(old, champion=ref, history=history)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(new))
    scratch.replace(path)


def publish(store: ModelStore, number: int) -> str:
    manifest, graph = tiny(0.1 + number / 100, weight=0.01, created_ns=CREATED_NS + number * 10**9)
    return store.publish(manifest, graph)


def damage(store: Path, ref: str) -> None:
    """Cut a published graph short."""
    name, version = ref.split("@")
    path = store / "models" / name / version / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.timeout(300)
def test_fifty_swaps_some_broken(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    champions: list[str] = []
    broken: list[str] = []
    plan = Plan(61, ticks=8_000, rate_hz=600, oracle_rows=100, uninterrupted=False)

    def swap(cluster: Cluster) -> None:
        process = cluster.incarnations.start_whole()
        store = ModelStore(cluster.store)
        with Served(embedded_broker, plan.partitions) as served:
            for number in range(SWAPS):
                ref = publish(store, number)
                if number % 7 == 3:
                    damage(cluster.store, ref)
                    broken.append(ref)
                    set_champion(cluster.store, ref)
                    until(lambda ref=ref: ref in process.stderr, f"{ref} to be refused")
                else:
                    champions.append(ref)
                    set_champion(cluster.store, ref)
                    until(lambda ref=ref: served.everywhere(ref), f"{ref} to serve everywhere")
        assert process.running, process.tail()
        cluster.incarnations.stop(process)

    prove_spotless(embedded_broker, plan, tmp_path, swap)
    assert (len(champions), len(broken)) == (43, 7)
    runs: dict[int, list[str]] = defaultdict(list)
    for message in read_outputs(embedded_broker).predictions:
        add(runs[message.partition], message.value)
    assert sorted(runs) == list(range(plan.partitions))
    for partition, (first, *served) in sorted(runs.items()):
        assert first.startswith(f"{BASELINE}@")
        assert served == champions, f"partition {partition} was not served by each good one in turn"
