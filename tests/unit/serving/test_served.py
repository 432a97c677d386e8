"""The models that answer requests, while the store changes below them."""

import asyncio

import httpx
import structlog

from flows.scoring.rebuilding import LONGEST_RETRY_S
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import ModelOverride
from schemas.features import FEATURES
from serving.app import create_app
from serving.models.served import ServedModels
from tests.support.api import DEAD_REDIS, settings_for
from tests.support.models import publish_tiny
from tests.support.scorer import SPIKE


def test_a_graph_that_is_copied_in_slowly_is_one_line_and_serves_once_it_is_whole(tmp_path):
    store = ModelStore(tmp_path)
    ref = publish_tiny(store, 0.8)
    store.move(SPIKE, champion=ref, by="test")
    graph = store.folder(ref) / "model.onnx"
    content = graph.read_bytes()
    now_s = [0.0]
    served = ServedModels(
        store, [SPIKE], ModelOverride(), allow_simulated=True, clock=lambda: now_s[0]
    )
    with structlog.testing.capture_logs() as logs:
        for size in range(10):
            graph.write_bytes(content[:size])
            assert served.current().by_target == {}
            now_s[0] += LONGEST_RETRY_S
    assert [line["event"] for line in logs] == ["model refused"]
    graph.write_bytes(content)
    assert served.serving(SPIKE).champion.ref == ref


def test_a_request_that_no_model_can_answer_is_one_line_of_the_log_until_the_store_changes(
    tmp_path,
):
    settings = settings_for(tmp_path, DEAD_REDIS, targets=(SPIKE,))
    row = {"rows": [{each.name: None if each.undefined else each.low for each in FEATURES}]}

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(create_app(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found = [(await client.post("/predict", json=row)).status_code for _ in range(5)]
            publish_tiny(ModelStore(settings.model_store), 0.8)
            found += [(await client.post("/predict", json=row)).status_code for _ in range(5)]
        return found

    with structlog.testing.capture_logs() as logs:
        assert asyncio.run(ask()) == [503] * 10
    said = [line["cause"] for line in logs if line["event"] == "model store refused"]
    assert len(said) == 2
    assert "no champion" in said[0]
