"""The account of hostile messages can fail: what a model makes of a tick is asked again."""

from pathlib import Path

import numpy as np

from flows.codec.rows import TargetScores
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from tests.fuzz.account import Account, run_account
from tests.fuzz.chain import Chain, baseline_scorer
from tests.fuzz.messages import hostile_messages
from tests.proof.scores import Store
from tests.support.models import RETURN, linear_graph, manifest_for

COUNT = 400


class Faulty:
    """A scorer that loses every second score."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.poll = scorer.poll

    def score(self, values: np.ndarray) -> list[TargetScores]:
        made = self._scorer.score(values)
        for target in made:
            target.scores[::2] = np.nan
        return made


def account(scorer: Scorer | Faulty, folder: Path) -> Account:
    messages = list(hostile_messages(3, COUNT))
    return run_account(Chain(scorer), messages, 3, Store(folder))


def test_baseline_scores_everything(tmp_path: Path) -> None:
    found = account(baseline_scorer(tmp_path), tmp_path)
    assert found.defects == []
    assert found.inputs == COUNT
    assert "unscorable" not in found.reasons


def test_lost_scores_are_found(tmp_path: Path) -> None:
    found = account(Faulty(baseline_scorer(tmp_path)), tmp_path)
    lost = found.reasons["unscorable"]
    assert lost > 50
    missing = [each for each in found.defects if each.kind == "missing"]
    assert [each.topic for each in missing] == ["predictions"] * lost


def test_what_a_model_cannot_score_is_expected_as_a_letter(tmp_path: Path) -> None:
    """Of the largest sizes the graph makes an infinite forecast."""
    store = ModelStore(tmp_path)
    graph = linear_graph([1e6], 0.0, classifier=False)
    manifest = manifest_for(graph, target=RETURN, features=("notional_60",))
    store.move(RETURN.name, champion=store.publish(manifest, graph), by="test")
    found = account(Scorer(store, (RETURN.name,)), tmp_path)
    assert found.defects == []
    assert found.reasons["unscorable"] > 5
    assert found.predictions > 50
