"""The API answers with the models that the pipeline scores with."""

import pytest

from flows.pipeline import _scorer
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from serving.app import create_app
from tests.support.models import CREATED_NS, publish_tiny

SPIKE = "volatility_spike"
LATER_NS = CREATED_NS + 10**12


@pytest.mark.parametrize("feed", ["auto", "coinbase-exchange", "simulate", "replay:x"])
@pytest.mark.parametrize("setting", [None, "model_variant", "model_version"])
@pytest.mark.parametrize("champion", ["recorded", "simulated"])
def test_both_serve_the_same(tmp_path, feed: str, setting: str | None, champion: str) -> None:
    store = ModelStore(tmp_path)
    recorded = publish_tiny(store, 0.3, variant="gbt", name="recorded")
    simulated = publish_tiny(
        store, 0.6, variant="gbt", name="simulated", provenance="simulated", created_ns=LATER_NS
    )
    first, second = (recorded, simulated) if champion == "simulated" else (simulated, recorded)
    for ref in (first, second):
        store.move(SPIKE, champion=ref, by="test", allow_simulated=True)
    chosen = {"model_variant": "gbt", "model_version": recorded}
    options = {} if setting is None else {setting: chosen[setting]}
    settings = Settings(
        feed=feed,
        model_store=tmp_path,
        redis_url="redis://127.0.0.1:1/0",
        targets=(SPIKE,),
        **options,
    )
    [pipeline] = _scorer(settings).status()
    api = create_app(settings).state.context.models.current().by_target[SPIKE]
    assert pipeline.champion is not None
    assert api.champion.ref == pipeline.champion.ref
    assert tuple(model.ref for model in api.challengers) == pipeline.challengers
