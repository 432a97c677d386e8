"""The models that answer requests, loaded from the store; all of it is blocking file work."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence

import structlog

from flows.errors import ModelStoreError
from flows.scoring.rebuilding import RebuildSchedule
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
    allow_simulated
        By :func:`flows.scoring.serving_models.serves_simulated`, as in the pipeline.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        store: ModelStore,
        targets: Sequence[str],
        override: ModelOverride,
        *,
        allow_simulated: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.targets = tuple(targets)
        self.pinned = override.version is not None or override.variant is not None
        self._builder = ServingModelsBuilder(
            store, self.targets, override, allow_simulated=allow_simulated
        )
        self._lock = threading.Lock()
        self._schedule = RebuildSchedule(clock)
        self._models = ServingModels()
        self._said: set[str] = set()
        self._said_of: Hashable = None
        self._said_lock = threading.Lock()

    def current(self) -> ServingModels:
        """Return the models of this moment; where one is refused, the one before it stays."""
        with self._lock:
            token = self.store.change_token()
            if self._schedule.due(token):
                known, self._models = self._models.gists(), self._builder.build(self._models)
                self._schedule.built(token, complete=not self._models.problems)
                for problem in self._models.problems:
                    if problem.gist not in known:
                        structlog.get_logger().warning(
                            "model refused", target=problem.target, cause=problem.reason
                        )
            return self._models

    def is_news(self, cause: str) -> bool:
        """Whether this is asked for the first time of the store as it is.

        So that what is refused for the same cause at each request is one line of the log.
        """
        token = self.store.change_token()
        with self._said_lock:
            if token != self._said_of:
                self._said_of = token
                self._said.clear()
            known = cause in self._said
            self._said.add(cause)
            return not known

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
