"""Fifty model swaps under load, some of them broken: every prediction names who scored it."""

from pathlib import Path

import msgspec
import pytest

from flows.scoring.registry import ModelStore
from schemas.models import Aliases
from schemas.predictions import Prediction
from tests.integration.scenes import prove_spotless
from tests.proof.run import read_outputs
from tests.proof.scene import Plan, Scene
from tests.support.embedded import EmbeddedBroker
from tests.support.models import CREATED_NS, tiny

SWAPS = 50
EVERY_S = 0.3
TARGET = "volatility_spike"


def crown(store: Path, ref: str) -> None:
    """Make a version the champion as a foreign tool might: without looking at it."""
    path = store / "aliases" / f"{TARGET}.json"
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(Aliases(target=TARGET, champion=ref)))
    scratch.replace(path)


def publish(store: ModelStore, number: int) -> str:
    manifest, graph = tiny(0.1 + number / 100, weight=0.01, created_ns=CREATED_NS + number * 10**9)
    return store.publish(manifest, graph)


def versions_in_order(broker: EmbeddedBroker, partition: int) -> list[str]:
    """Return who scored a partition, each version once for every run of its predictions."""
    seen: list[str] = []
    for message in read_outputs(broker).predictions:
        if message.partition == partition:
            score = msgspec.json.decode(message.value, type=Prediction).scores[TARGET]
            ref = f"{score.model}@{score.version}"
            if not seen or seen[-1] != ref:
                seen.append(ref)
    return seen


@pytest.mark.timeout(300)
def test_fifty_swaps_some_broken(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    champions: list[str] = []
    broken: list[str] = []

    def swap(scene: Scene) -> None:
        process = scene.lives.start_whole()
        store = ModelStore(scene.store)
        for number in range(SWAPS):
            ref = publish(store, number)
            if number % 7 == 3:
                name, version = ref.split("@")
                path = scene.store / "models" / name / version / "model.onnx"
                path.chmod(0o644)
                path.write_bytes(path.read_bytes()[:-3])
                broken.append(ref)
            else:
                champions.append(ref)
            crown(scene.store, ref)
            scene.lives.wait_idle(EVERY_S)
        assert process.running, process.tail()
        scene.lives.stop(process)
        for ref in broken[:2]:
            assert ref in process.stderr

    plan = Plan(61, ticks=8_000, rate_hz=600, oracle_rows=100, uninterrupted=False)
    prove_spotless(embedded_broker, plan, tmp_path, swap)
    seen = versions_in_order(embedded_broker, partition=0)
    served = [ref for ref in seen if ref in champions]
    assert not set(seen) & set(broken)
    assert served == sorted(set(served), key=champions.index), "an older model came back"
    assert len(served) > SWAPS // 3
