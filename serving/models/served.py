"""Which model answers for a target, loaded and proved; all of it blocking file work."""

import threading
from collections.abc import Hashable, Sequence

import structlog

from flows.errors import ModelStoreError
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import Lineup, LineupBuilder, Pins, Serving


class ServedModels:
    """Follows the store as the pipeline does: a moved alias shows at the next request.

    Parameters
    ----------
    store
        The model store that the pipeline serves from too.
    targets
        Targets that may be asked for; the first is the default.
    pins
        ``MODEL_VERSION`` and ``MODEL_VARIANT``.
    """

    def __init__(self, store: ModelStore, targets: Sequence[str], pins: Pins) -> None:
        self.store = store
        self.targets = tuple(targets)
        self.pinned = pins.version is not None or pins.variant is not None
        # Whether a simulated champion may serve is decided where aliases move; here the API
        # answers by whatever serves.
        self._builder = LineupBuilder(store, self.targets, pins, allow_simulated=True)
        self._lock = threading.Lock()
        self._token: Hashable = object()
        self._lineup = Lineup()

    def lineup(self) -> Lineup:
        """Return who serves now; a model that is refused leaves the one before it in place."""
        with self._lock:
            token = self.store.change_token()
            if token != self._token:
                self._lineup = self._builder.build(self._lineup)
                self._token = token
                for problem in self._lineup.problems:
                    structlog.get_logger().warning(
                        "model refused", target=problem.target, cause=problem.reason
                    )
            return self._lineup

    def serving(self, target: str) -> Serving:
        """Return the models of a target.

        Raises
        ------
        ModelStoreError
            Nobody serves it; the message says why.
        """
        lineup = self.lineup()
        found = lineup.serving.get(target)
        if found is None:
            causes = [problem.reason for problem in lineup.problems if problem.target == target]
            message = "; ".join(causes) or f"{target} has no champion yet; train or promote one"
            raise ModelStoreError(message)
        return found
