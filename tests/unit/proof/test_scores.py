"""Scores recomputed from the store: every corruption is found, and none where there is none."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.scoring.baseline import ensure_baseline
from flows.scoring.registry import ModelStore
from schemas.models import Aliases
from schemas.predictions import FeatureRow
from tests.proof.checker import Outputs, first_of_each
from tests.proof.models import publish_models
from tests.proof.scores import Store, check_scores, unscorable
from tests.support.kafka.tools import Message
from tests.unit.proof.corruptions import altered

SPIKE, RETURN = "volatility_spike", "forward_return"
Scores = dict[str, dict]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    publish_models(tmp_path)
    ensure_baseline(ModelStore(tmp_path), SPIKE)
    return tmp_path


@pytest.fixture
def outputs(outputs: Outputs, root: Path) -> Outputs:
    """Features that differ from row to row, and the scores that the store's models give them."""
    random = np.random.default_rng(1)
    for at, message in enumerate(outputs.features):
        row = msgspec.json.decode(message.value, type=FeatureRow)
        values = random.uniform(0.1, 3.0, len(row.values)).astype(np.float32)
        outputs.features[at] = altered(message, values=values.tolist())
    outputs.predictions[:] = scored(outputs, Store(root))
    return outputs


def scored(outputs: Outputs, store: Store) -> list[Message]:
    rows = [msgspec.json.decode(message.value)["values"] for message in outputs.features]
    values = np.array(rows, dtype=np.float32)
    refs = {ref for each in store.aliases.values() for ref in (each.champion, *each.challengers)}
    scores = {ref: store.score(ref, values).tolist() for ref in refs}

    def said(aliases: Aliases, at: int) -> dict:
        manifest = store.manifest(aliases.champion)
        score, threshold = scores[aliases.champion][at], manifest.threshold
        return {
            "score": score,
            "decision": None if threshold is None else score >= threshold,
            "model": manifest.name,
            "version": manifest.version,
            "variant": manifest.variant,
            "shadow": {ref: scores[ref][at] for ref in aliases.challengers},
        }

    return [
        altered(message, scores={name: said(each, at) for name, each in store.aliases.items()})
        for at, message in enumerate(outputs.predictions)
    ]


def found(outputs: Outputs, root: Path) -> list[str]:
    return [str(each) for each in check_scores(outputs.predictions, outputs.features, Store(root))]


def test_true_scores_have_no_defect(outputs: Outputs, root: Path) -> None:
    store = Store(root)
    assert sorted(store.aliases) == [RETURN, SPIKE]
    assert len(store.aliases[SPIKE].challengers) == 1
    assert found(outputs, root) == []
    assert unscorable(outputs.features, store) == set()


def _swap(scores: Scores) -> None:
    scores[SPIKE], scores[RETURN] = scores[RETURN], scores[SPIKE]


def _swap_with_shadow(scores: Scores) -> None:
    [shadow] = scores[SPIKE]["shadow"]
    own = scores[SPIKE]
    own["score"], own["shadow"][shadow] = own["shadow"][shadow], own["score"]


def _by_challenger(scores: Scores) -> None:
    [(shadow, score)] = scores[SPIKE]["shadow"].items()
    scores[SPIKE] |= dict(zip(("model", "version"), shadow.split("@"), strict=True))
    scores[SPIKE] |= {"variant": "tiny", "score": score, "decision": score >= 0.5}


def _off(scores: Scores, target: str) -> None:
    scores[target]["score"] += 2e-6


def _shadow_off(scores: Scores) -> None:
    [shadow] = scores[SPIKE]["shadow"]
    scores[SPIKE]["shadow"][shadow] -= 2e-6


@pytest.mark.parametrize(
    ("corrupt", "told"),
    [
        (lambda scores: _off(scores, SPIKE), "recomputed"),
        (lambda scores: _off(scores, RETURN), "recomputed"),
        (_shadow_off, "recomputed"),
        (lambda scores: scores.pop(SPIKE), f"no score for {SPIKE}"),
        (lambda scores: scores.pop(RETURN), f"no score for {RETURN}"),
        (lambda scores: scores[SPIKE]["shadow"].clear(), f"no score for {SPIKE} by shadow@"),
        (lambda scores: scores[SPIKE]["shadow"].update({"nobody@1": 0.5}), "no challenger"),
        (lambda scores: scores[RETURN]["shadow"].update({"nobody@1": 0.5}), "no challenger"),
        (lambda scores: scores[SPIKE].update(version="20260101T000000Z-00000000"), "not in the st"),
        (lambda scores: scores[SPIKE].update(variant="gbt"), "variant gbt"),
        (lambda scores: scores[RETURN].update(decision=False), "decision False"),
        (lambda scores: scores.update(other=scores[RETURN]), "never the champion of other"),
        (_by_challenger, f"never the champion of {SPIKE}"),
        (_swap, "never the champion of"),
        (_swap_with_shadow, "recomputed"),
    ],
)
def test_corruption_is_found(
    outputs: Outputs, root: Path, corrupt: Callable[[Scores], object], told: str
) -> None:
    scores = msgspec.json.decode(outputs.predictions[5].value)["scores"]
    corrupt(scores)
    corrupted = outputs.predictions[5] = altered(outputs.predictions[5], scores=scores)
    defects = found(outputs, root)
    place = msgspec.json.decode(corrupted.value)
    assert 1 <= len(defects) <= 3
    assert any(told in each for each in defects), defects
    assert all(f"[{place['partition']}]@{place['offset']}:" in each for each in defects)


def test_model_made_for_another_target_is_found(outputs: Outputs, root: Path) -> None:
    """Somebody else may write what he likes into an alias file."""
    [spike] = Store(root).aliases[SPIKE].challengers
    path = root / "aliases" / f"{RETURN}.json"
    path.write_bytes(msgspec.json.encode(Aliases(target=RETURN, champion=spike)))
    outputs.predictions[:] = scored(outputs, Store(root))
    defects = found(outputs, root)
    assert len(defects) == len(outputs.predictions)
    assert all(f"which predicts {SPIKE}" in each for each in defects)


def test_prediction_without_its_feature_row_is_found(outputs: Outputs, root: Path) -> None:
    del outputs.features[3]
    [defect] = found(outputs, root)
    assert "no feature row" in defect


def test_a_few_of_each_kind_are_told(outputs: Outputs, root: Path) -> None:
    del outputs.features[3:9]
    defects = list(check_scores(outputs.predictions, outputs.features, Store(root)))
    assert len(defects) == 6
    assert len(first_of_each(defects, most=2)) == 2
