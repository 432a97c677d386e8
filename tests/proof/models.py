"""Cheap models for a proof: every target has a champion, and one of them a challenger."""

from pathlib import Path

from flows.scoring.registry import ModelStore
from tests.support.models import RETURN, SPIKE, linear_graph, manifest_for

_BY = "proof"
_SPIKE_WEIGHTS = {"vol_ratio_60_3600": 0.5, "imbalance": -0.3, "minute_position": 0.2}
_RETURN_WEIGHTS = {"log_return_60": 0.3, "ofi_share_60": 0.01, "hour_position": -0.02}


def publish_models(root: Path) -> None:
    """Fill a new store: a forecast's champion, and a challenger of the built-in classifier.

    The latter becomes champion at the pipeline's first start, as everywhere.
    """
    store = ModelStore(root)
    graph = linear_graph(list(_RETURN_WEIGHTS.values()), 0.001, classifier=False)
    forecast = manifest_for(graph, name="forecast", target=RETURN, features=tuple(_RETURN_WEIGHTS))
    store.move(RETURN.name, champion=store.publish(forecast, graph), by=_BY)
    graph = linear_graph(list(_SPIKE_WEIGHTS.values()), -1.0)
    challenger = manifest_for(graph, name="shadow", target=SPIKE, features=tuple(_SPIKE_WEIGHTS))
    store.add_challenger(SPIKE.name, store.publish(challenger, graph), by=_BY)
