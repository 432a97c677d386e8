"""The models that answer requests, loaded from the store; all of it is blocking file work."""

import threading
from collections.abc import Hashable, Sequence

import structlog

from flows.errors import ModelStoreError
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import (
    ModelOverride,
    ServingModels,
    ServingModelsBuilder,
    TargetModels,
)


class ServedModels:
    """Follows the store as the pipeline does: a moved alias shows at the next request.

    Parameters
    ----------
    store
        The model store that the pipeline serves from too.
    targets
        Targets that may be asked for; the first is the default.
    override
        ``MODEL_VERSION`` and ``MODEL_VARIANT``.
    """

    def __init__(self, store: ModelStore, targets: Sequence[str], override: ModelOverride) -> None:
        self.store = store
        self.targets = tuple(targets)
        self.pinned = override.version is not None or override.variant is not None
        # Whether a simulated champion may serve is decided where aliases move; here the API
        # answers by whatever serves.
        self._builder = ServingModelsBuilder(store, self.targets, override, allow_simulated=True)
        self._lock = threading.Lock()
        self._token: Hashable = object()
        self._models = ServingModels()

    def current(self) -> ServingModels:
        """Return the models of this moment; where one is refused, the one before it stays."""
        with self._lock:
            token = self.store.change_token()
            if token != self._token:
                self._models = self._builder.build(self._models)
                self._token = token
                for problem in self._models.problems:
                    structlog.get_logger().warning(
                        "model refused", target=problem.target, cause=problem.reason
                    )
            return self._models

    def serving(self, target: str) -> TargetModels:
        """Return the models of a target.

        Raises
        ------
        ModelStoreError
            It has no model; the message says why.
        """
        models = self.current()
        found = models.by_target.get(target)
        if found is None:
            causes = [problem.reason for problem in models.problems if problem.target == target]
            message = "; ".join(causes) or f"{target} has no champion yet; train or promote one"
            raise ModelStoreError(message)
        return found
