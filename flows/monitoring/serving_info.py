"""Which models serve, as a metric that is read when Prometheus asks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class ServingInfo:
    """One target's models.

    Attributes
    ----------
    champion, variant
        ``name@version`` and kind of estimator; None where nothing decides.
    challengers
        What scores in its shadow, by ``name@version``.
    refused
        How many models the store names that cannot serve.
    """

    target: str
    champion: str | None
    variant: str | None
    challengers: tuple[str, ...]
    refused: int


class ServingModelsInfo(Collector):
    """``voltick_model_info`` and ``voltick_models_refused``; ``read`` is set once models serve."""

    def __init__(self) -> None:
        self.read: Callable[[], Sequence[ServingInfo]] = tuple

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield each model that serves now."""
        info = GaugeMetricFamily(
            "voltick_model_info",
            "1 for each model that scores: the champion decides, challengers score in its shadow.",
            labels=("target", "model", "variant", "role"),
        )
        refused = GaugeMetricFamily(
            "voltick_models_refused",
            "Models that the store names and that cannot serve; the log says why.",
            labels=("target",),
        )
        for each in self.read():
            if each.champion is not None:
                info.add_metric((each.target, each.champion, each.variant or "", "champion"), 1)
            for ref in each.challengers:
                info.add_metric((each.target, ref, "", "challenger"), 1)
            refused.add_metric((each.target,), each.refused)
        yield from (info, refused)
