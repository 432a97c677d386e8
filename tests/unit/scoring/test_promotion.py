import pytest

from flows.errors import ModelRejectedError
from flows.scoring.promotion import promote, prove, publish, rollback, shadow
from schemas.features import FEATURE_SET
from tests.support.models import linear_graph, manifest_for, publish_tiny, tiny

TARGET = "volatility_spike"


def unservable(store, name="foreign"):
    """A version that is whole, but not for this code."""
    return publish_tiny(store, 0.8, name=name, feature_set=FEATURE_SET + 1)


def test_graph_that_cannot_score_is_never_published(store):
    onnx_bytes = linear_graph([1.0], 0.0, impute=False)
    with pytest.raises(ModelRejectedError, match="undefined"):
        publish(store, manifest_for(onnx_bytes), onnx_bytes)
    assert store.refs() == []


def test_published_model_is_proven(store):
    ref = publish(store, *tiny(0.4))
    assert prove(store, ref).ref == ref


def test_whole_but_unservable_version_is_not_promoted(store):
    good, bad = publish_tiny(store, 0.2), unservable(store)
    promote(store, TARGET, good, by="test")
    with pytest.raises(ModelRejectedError, match=bad):
        promote(store, TARGET, bad, by="test")
    with pytest.raises(ModelRejectedError, match=bad):
        shadow(store, bad, by="test")
    assert store.aliases(TARGET).champion == good
    assert store.aliases(TARGET).challengers == []


def test_rollback_proves_the_former_champion(store):
    first, second = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    bad = unservable(store)
    store.move(TARGET, champion=first, by="test")
    store.move(TARGET, champion=bad, by="test")
    store.move(TARGET, champion=second, by="test")
    with pytest.raises(ModelRejectedError, match=bad):
        rollback(store, TARGET, by="test")
    assert store.aliases(TARGET).champion == second


def test_rollback_without_history_says_so(store):
    with pytest.raises(ModelRejectedError, match="no former champion"):
        rollback(store, TARGET, by="test")


def test_shadow_goes_on_and_off(store):
    champion, other = (publish_tiny(store, p, name=f"m{p}") for p in (0.2, 0.4))
    promote(store, TARGET, champion, by="test")
    assert shadow(store, other, by="test").challengers == [other]
    assert shadow(store, other, by="test", on=False).challengers == []
    with pytest.raises(ModelRejectedError, match="no target's shadow"):
        shadow(store, other, by="test", on=False)
