"""Score batches with the store's champions, and follow the store while the flow runs.

One set of models scores a batch from its first row to its last. :meth:`Scorer.poll`, called between
two batches, swaps to a new set once it is complete; a background thread loads and proves it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from flows.codec.rows import TargetScores
from flows.errors import ModelRejectedError
from flows.numeric.arrays import Float32
from flows.scoring.rebuilding import RebuildSchedule
from flows.scoring.recent_rows import RecentRows
from flows.scoring.registry import ModelStore
from flows.scoring.serving_models import (
    Gist,
    ModelOverride,
    ServingModels,
    ServingModelsBuilder,
    TargetModels,
)
from schemas.models import ModelManifest

# How often the store is looked at, seconds: well below the two within which a swap is promised.
POLL_INTERVAL_S = 0.25


@dataclass(frozen=True)
class Swap:
    """A change of a target's champion; None where it has none."""

    target: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class TargetStatus:
    """The models of a target and the refused ones, for ``/version`` and metrics."""

    target: str
    champion: ModelManifest | None
    challengers: tuple[str, ...]
    problems: tuple[str, ...]


def run_in_thread(job: Callable[[], None]) -> None:
    """Run ``job`` in a thread that does not keep the process alive."""
    threading.Thread(target=job, name="model-loader", daemon=True).start()


class Scorer:
    """Champions and challengers of each target.

    Construction loads what the store names and raises if that cannot serve; afterwards a failure
    is logged once, kept in :meth:`status` and tried again while the store asks for that model; what
    served before goes on. A model serves if it has a score for each of the newest rows of the
    stream; where there are none yet, for each row of the first batch.

    Parameters
    ----------
    targets
        Names of the targets to score; one without a champion is left out until it has one.
    pin_version
        Serve this ``name@version`` for its target instead of the champion.
    pin_variant
        Serve the newest model of this variant, for each target that has one.
    allow_simulated
        Let champions serve that were trained on simulated data. False on a live feed.
    clock
        Monotonic seconds, for the polling interval.
    run_in_background
        Runs a look at the store; in a thread unless a test brings its own.

    Raises
    ------
    ModelRejectedError
        A target has a champion, and neither it nor a former one can serve.
    ModelStoreError
        The store cannot be read, or has no model of the pinned variant.
    """

    def __init__(
        self,
        store: ModelStore,
        targets: Sequence[str],
        pin_version: str | None = None,
        pin_variant: str | None = None,
        *,
        allow_simulated: bool = False,
        clock: Callable[[], float] = time.monotonic,
        poll_interval_s: float = POLL_INTERVAL_S,
        run_in_background: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._store = store
        self._targets = tuple(targets)
        override = ModelOverride(pin_version, pin_variant)
        self._builder = ServingModelsBuilder(
            store, targets, override, allow_simulated=allow_simulated
        )
        self._clock = clock
        self._poll_interval_s = poll_interval_s
        self._run_in_background = run_in_background
        self._log = structlog.get_logger()
        self._polling = threading.Lock()
        self._schedule = RebuildSchedule(clock)
        self._built: ServingModels | BaseException | None = None
        self._looking = False
        self._builder.check_override()
        self._models = ServingModels()
        self._recent = RecentRows()
        self._proving = threading.Lock()
        self._failing: set[str] = set()
        token = store.change_token()
        first = self._builder.build(self._models)
        for problem in first.problems:
            if problem.target not in first.by_target:
                raise ModelRejectedError(problem.reason)
        self._schedule.built(token, complete=not first.problems)
        self._swap(first)
        self._next_look = clock() + poll_interval_s

    def score(self, values: Float32) -> list[TargetScores]:
        """Score a batch with the present set of models.

        Parameters
        ----------
        values
            float32, shape (n, len(FEATURES)), the contract's columns; undefined is NaN.
        """
        if not self._models.is_proven and len(values):
            self._prove(values)
        self._recent.add(values)
        models = self._models
        scores = [_score(target, serving, values) for target, serving in models.by_target.items()]
        self._report_failures(models)
        return scores

    def poll(self) -> tuple[Swap, ...]:
        """Follow the store; call it between two batches.

        Nearly free: every ``poll_interval_s`` it starts a look at the store in the background,
        where a slow disk delays no batch; otherwise it reads the clock.

        Returns
        -------
        The champions that changed with this call.
        """
        if not self._polling.acquire(blocking=False):
            return ()
        try:
            if self._built is not None:
                built, self._built = self._built, None
                if isinstance(built, BaseException):
                    raise built
                return self._swap(built)
            now = self._clock()
            if not self._looking and now >= self._next_look:
                self._next_look = now + self._poll_interval_s
                self._looking = True
                self._run_in_background(self._look)
            return ()
        finally:
            self._polling.release()

    def status(self) -> list[TargetStatus]:
        """Return each target's models, and why others could not be loaded."""
        models = self._models
        return [
            TargetStatus(
                target,
                serving.champion.manifest if (serving := models.by_target.get(target)) else None,
                tuple(model.ref for model in serving.challengers) if serving else (),
                tuple(problem.reason for problem in models.problems if problem.target == target),
            )
            for target in self._targets
        ]

    def _prove(self, values: Float32) -> None:
        """Replace the models that fail on the first rows of the stream, before they score them."""
        with self._proving:
            if self._models.is_proven:
                return
            if not self._builder.set_apart(self._models, values):
                self._models = replace(self._models, is_proven=True)
                return
            token = self._store.change_token()
            built = self._builder.build(self._models, values)
            self._schedule.built(token, complete=not built.problems)
            self._swap(built)

    def _look(self) -> None:
        """Build the set of models that the store asks for, if it is another; in the background."""
        try:
            token = self._store.change_token()
            if self._schedule.due(token):
                built = self._builder.build(self._models, self._recent.copied())
                self._schedule.built(token, complete=not built.problems)
                self._built = built
        except BaseException as error:  # handed to poll(), which raises it
            self._built = error
        finally:
            self._looking = False

    def _swap(self, models: ServingModels) -> tuple[Swap, ...]:
        before, self._models = self._models, models
        self._report(before.gists(), models)
        swaps = []
        for target in self._targets:
            old, new = (_champion(side, target) for side in (before, models))
            if old != new:
                swaps.append(Swap(target, old, new))
                serving = models.by_target.get(target)
                kind = None if serving is None else serving.champion.manifest.provenance
                made_up = {"data": "SIMULATED"} if kind == "simulated" else {}
                self._log.info("model serving", target=target, model=new, before=old, **made_up)
        return tuple(swaps)

    def _report(self, known: set[Gist], models: ServingModels) -> None:
        for problem in models.problems:
            if problem.gist not in known:
                self._log.error(
                    "model refused",
                    target=problem.target,
                    model=problem.ref,
                    reason=problem.reason,
                    serving=_champion(models, problem.target),
                )

    def _report_failures(self, models: ServingModels) -> None:
        """Log once of each model that the runtime has failed on a row with it."""
        for serving in models.by_target.values():
            for model in (serving.champion, *serving.challengers):
                if model.failure is not None and model.ref not in self._failing:
                    self._failing.add(model.ref)
                    self._log.error(
                        "model cannot score some rows", model=model.ref, reason=model.failure
                    )


def _champion(models: ServingModels, target: str) -> str | None:
    serving = models.by_target.get(target)
    return None if serving is None else serving.champion.ref


def _score(target: str, serving: TargetModels, values: Float32) -> TargetScores:
    champion = serving.champion
    return TargetScores(
        target=target,
        kind=champion.manifest.target.kind,
        manifest=champion.manifest,
        scores=champion.score(values),
        threshold=champion.manifest.threshold,
        shadow={model.ref: model.score(values) for model in serving.challengers},
    )
