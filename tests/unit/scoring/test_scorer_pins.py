"""A pinned version or variant serves instead of the champion."""

import pytest

from flows.errors import ModelRejectedError, ModelStoreError
from flows.scoring.scorer import Swap
from tests.support.models import RETURN, manifest_for, publish_tiny
from tests.support.scorer import FORWARD, ROWS, SPIKE, broken, follow, scores_of


def test_pinned_version_serves_whatever_the_alias_says(store, scorer_of, clock, background):
    first, second, third = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4, 0.6))
    forward = publish_tiny(store, 1e-4, target=RETURN)
    store.move(SPIKE, champion=first, by="test")
    store.move(FORWARD, champion=forward, by="test")
    store.set_challengers(SPIKE, [second, third], by="test")
    scorer = scorer_of(pin_version=second)
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4, FORWARD: 1e-4})
    assert list(scorer.score(ROWS)[0].shadow) == [third]
    store.move(SPIKE, champion=third, by="test")
    assert follow(scorer, clock, background) == ()
    assert scores_of(scorer)[SPIKE] == pytest.approx(0.4)


def test_pinned_variant_follows_its_newest_version(store, scorer_of, clock, background):
    champion = publish_tiny(store, 0.2, variant="gbt")
    old = publish_tiny(store, 0.4, variant="logreg")
    store.move(SPIKE, champion=champion, by="test")
    scorer = scorer_of(pin_variant="logreg")
    assert scores_of(scorer) == pytest.approx({SPIKE: 0.4})
    later = manifest_for(b"").created_ns + 10**12
    new = publish_tiny(store, 0.6, variant="logreg", created_ns=later)
    assert follow(scorer, clock, background) == (Swap(SPIKE, old, new),)


def test_pin_of_what_is_not_there_is_refused_by_name(store, scorer_of):
    ref = publish_tiny(store, 0.2, variant="logreg")
    with pytest.raises(ModelRejectedError, match="gone@20260101T000000Z-00000000"):
        scorer_of(pin_version="gone@20260101T000000Z-00000000")
    with pytest.raises(ModelRejectedError, match="names no model"):
        scorer_of(pin_version="logreg")
    with pytest.raises(ModelStoreError, match=r"xgboost.*logreg"):
        scorer_of(pin_variant="xgboost")
    with pytest.raises(ModelRejectedError, match=SPIKE):
        scorer_of(targets=(FORWARD,), pin_version=ref)


def test_broken_pin_is_refused_not_replaced(store, scorer_of):
    champion, pinned = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    store.move(SPIKE, champion=champion, by="test")
    broken(store, pinned)
    with pytest.raises(ModelRejectedError, match=pinned):
        scorer_of(pin_version=pinned)
