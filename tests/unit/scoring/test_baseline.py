import threading

import numpy as np
import pytest

from flows.scoring.baseline import (
    FEATURE,
    IMPUTED_RATIO,
    INTERCEPT,
    LEVEL,
    OFFSET,
    SLOPE,
    build_zscore,
    ensure_baseline,
)
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.registry import ModelStore
from schemas.features import INDEX, NAMES
from tests.support.models import publish_tiny

TARGET = "volatility_spike"


def scores(ratios):
    rows = np.full((len(ratios), len(NAMES)), np.nan, dtype=np.float32)
    rows[:, INDEX[FEATURE]] = ratios
    return OnnxModel(*build_zscore()).score(rows)


def test_graph_computes_the_documented_formula():
    ratios = np.array([0.0, 0.1, 0.5, 1.0, 1.6, 5.0, 100.0], dtype=np.float32)
    expected = 1 / (1 + np.exp(-(SLOPE * np.log(ratios.astype(np.float64) + OFFSET) + INTERCEPT)))
    np.testing.assert_allclose(scores(ratios), expected, atol=1e-6)


def test_score_rises_with_the_ratio_and_is_never_flat():
    found = scores(np.linspace(0.0, 20.0, 500))
    assert (np.diff(found) > 0).all()


def test_undefined_ratio_scores_the_prevalence():
    (undefined, imputed) = scores([np.nan, IMPUTED_RATIO])
    assert undefined == imputed == pytest.approx(0.10, abs=1e-3)


def test_decision_falls_at_the_targets_own_level():
    manifest, _ = build_zscore()
    below, above = scores([LEVEL - 0.05, LEVEL + 0.05])
    assert below < manifest.threshold < above


def test_content_is_the_same_every_time():
    assert build_zscore() == build_zscore()


def test_first_start_publishes_and_promotes_it(store):
    ref = ensure_baseline(store, TARGET)
    assert store.aliases(TARGET).champion == ref == build_zscore()[0].ref
    assert ensure_baseline(store, TARGET) == ref
    assert len(store.moves()) == 1


def test_champion_is_left_alone(store):
    champion = publish_tiny(store, 0.3)
    store.move(TARGET, champion=champion, by="test")
    assert ensure_baseline(store, TARGET) == champion
    assert store.refs() == [champion]


def test_forward_return_has_no_built_in_model(store):
    assert ensure_baseline(store, "forward_return") is None
    assert store.refs() == []


def test_two_processes_that_start_at_once_agree(tmp_path):
    found = []

    def start() -> None:
        found.append(ensure_baseline(ModelStore(tmp_path / "store"), TARGET))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [build_zscore()[0].ref] * 4
    assert len(ModelStore(tmp_path / "store").moves()) == 1
