"""The models that answer requests, while the store changes below them."""

import structlog

from flows.scoring.rebuilding import LONGEST_RETRY_S
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import ModelOverride
from serving.models.served import ServedModels
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
