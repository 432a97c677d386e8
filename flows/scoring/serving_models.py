"""The set of models that scores: built as a whole, and never changed once it is built."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flows.errors import ModelRejectedError, ModelStoreError
from flows.numeric.arrays import Float32
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.registry import ModelStore
from schemas.features import FEATURE_SET
from schemas.feeds import FeedName
from schemas.models import Aliases

_HASH = re.compile(r"[0-9a-f]{64}")

Gist = tuple[str, str | None, str]


@dataclass(frozen=True)
class ModelOverride:
    """An operator's choice instead of the champion: one version, or the newest of one variant."""

    version: str | None = None
    variant: str | None = None


def serves_simulated(feed: str) -> bool:
    """Return whether champions trained on simulated data may serve this feed.

    Parameters
    ----------
    feed
        ``VOLTICK_FEED``; the pipeline and the API ask the same question of the same setting.
    """
    return feed == FeedName.SIMULATE


@dataclass(frozen=True)
class TargetModels:
    """The models of one target."""

    champion: OnnxModel
    challengers: tuple[OnnxModel, ...]


@dataclass(frozen=True)
class Problem:
    """A model that should serve and cannot, with the reason."""

    target: str
    ref: str | None
    reason: str

    @property
    def gist(self) -> Gist:
        """What makes a problem new; a file on its way has another hash at every look."""
        return self.target, self.ref, _HASH.sub("", self.reason)


@dataclass(frozen=True)
class ServingModels:
    """The models of each target; a target without a champion is left out.

    Attributes
    ----------
    is_proven
        Whether they have scored rows of the stream.
    """

    by_target: Mapping[str, TargetModels] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    is_proven: bool = False

    def gists(self) -> set[Gist]:
        """Return what tells the present problems from others."""
        return {problem.gist for problem in self.problems}


class ServingModelsBuilder:
    """Build sets of models from the store.

    Parameters
    ----------
    targets
        Names of the targets to score, in the order of the output.
    allow_simulated
        Let champions serve that were trained on simulated data. False on a live feed.
    """

    def __init__(
        self,
        store: ModelStore,
        targets: Sequence[str],
        override: ModelOverride,
        *,
        allow_simulated: bool,
    ) -> None:
        self._store = store
        self._targets = tuple(targets)
        self._override = override
        self._allow_simulated = allow_simulated
        self._unfit: dict[str, str] = {}

    def build(self, before: ServingModels, rows: Float32 | None = None) -> ServingModels:
        """Return the set of models the store asks for.

        Models of ``before`` are taken over, not loaded again. A champion that fails leaves the one
        of ``before`` in place; where that is none, or fails itself, the newest former champion that
        loads. A challenger that fails is left out. Each failure is in ``problems``.

        Parameters
        ----------
        rows
            Rows of the stream, float32, shape (n, len(FEATURES)), that a model must score before
            it serves; None if there are none yet.
        """
        serving: dict[str, TargetModels] = {}
        problems: list[Problem] = []
        for target in self._targets:
            models = before.by_target.get(target)
            try:
                wanted = self._wanted(target)
            except (ModelRejectedError, ModelStoreError) as error:
                problems.append(Problem(target, None, str(error)))
                if models is not None:
                    serving[target] = models
                continue
            built = self._serve(target, wanted, models, problems, rows)
            if built is not None:
                serving[target] = built
        return ServingModels(serving, tuple(problems), is_proven=rows is not None)

    def set_apart(self, models: ServingModels, rows: Float32) -> bool:
        """Note which models fail on rows of the stream; return whether there are any.

        Such a version serves no more as long as another one can, and is not tried again: it never
        changes.
        """
        found = False
        for serving in models.by_target.values():
            for model in (serving.champion, *serving.challengers):
                found |= self._fails(model, rows)
        return found

    def check_override(self) -> None:
        """Refuse an override that fits no target.

        Raises
        ------
        ModelRejectedError
            The pinned version is broken, or for a target that is not scored.
        ModelStoreError
            No target has a model of the pinned variant.
        """
        if self._override.version is not None:
            manifest = self._store.manifest(self._override.version)
            if manifest.target.name not in self._targets:
                message = (
                    f"MODEL_VERSION {manifest.ref} predicts {manifest.target.name}; scored are"
                    f" {', '.join(self._targets)}"
                )
                raise ModelRejectedError(message)
        variant = self._override.variant
        if variant is not None and not any(self._newest(target) for target in self._targets):
            known = sorted({manifest.variant for manifest in self._store.manifests()})
            message = (
                f"MODEL_VARIANT {variant}: the store has no usable model of it; it has"
                f" {', '.join(known) or 'none'}"
            )
            raise ModelStoreError(message)

    def _wanted(self, target: str) -> Aliases:
        """Return the target's aliases with the override as champion."""
        aliases = self._store.aliases(target)
        pinned = None
        if self._override.version is not None:
            if self._store.manifest(self._override.version).target.name == target:
                pinned = self._override.version
        elif self._override.variant is not None:
            pinned = self._newest(target)
        if pinned is None or pinned == aliases.champion:
            return aliases
        # An override serves that model or none: no former champion replaces it.
        return Aliases(
            target=target,
            champion=pinned,
            challengers=[ref for ref in aliases.challengers if ref != pinned],
        )

    def _newest(self, target: str) -> str | None:
        assert self._override.variant is not None  # noqa: S101 - for the type checker
        return self._store.newest(
            self._override.variant,
            target,
            feature_set=FEATURE_SET,
            allow_simulated=self._allow_simulated,
        )

    def _serve(
        self,
        target: str,
        wanted: Aliases,
        before: TargetModels | None,
        problems: list[Problem],
        rows: Float32 | None,
    ) -> TargetModels | None:
        if wanted.champion is None:
            return None
        loaded = {} if before is None else _by_ref(before)

        def load(ref: str, *, shadow: bool = False) -> OnnxModel | None:
            try:
                model = self._loaded(target, ref, loaded, shadow=shadow)
                if ref in self._unfit or (ref not in loaded and self._fails(model, rows)):
                    message = f"model {ref} is refused: {self._unfit[ref]}"
                    raise ModelRejectedError(message)
            except (ModelRejectedError, ModelStoreError) as error:
                problems.append(Problem(target, ref, str(error)))
                return None
            return model

        champion = load(wanted.champion)
        if champion is None and before is not None and before.champion.ref not in self._unfit:
            champion = before.champion
        if champion is None:
            champion = next(filter(None, map(load, reversed(wanted.history))), None)
        if champion is None and before is not None:
            # Nothing better can serve: the rows that it has no score for become dead letters.
            champion = before.champion
        if champion is None:
            return None
        challengers = [load(ref, shadow=True) for ref in wanted.challengers if ref != champion.ref]
        return TargetModels(champion, tuple(model for model in challengers if model is not None))

    def _loaded(
        self, target: str, ref: str, loaded: Mapping[str, OnnxModel], *, shadow: bool
    ) -> OnnxModel:
        model = loaded.get(ref)
        if model is None:
            model = OnnxModel(*self._store.read(ref))
        if model.manifest.target.name != target:
            message = f"model {ref} predicts {model.manifest.target.name}, not {target}"
            raise ModelRejectedError(message)
        simulated = model.manifest.provenance == "simulated"
        if simulated and not (self._allow_simulated or shadow):
            message = f"model {ref} is trained on simulated data; it does not serve this feed"
            raise ModelRejectedError(message)
        return model

    def _fails(self, model: OnnxModel, rows: Float32 | None) -> bool:
        flaw = None if rows is None else model.flaw(rows)
        if flaw is not None:
            self._unfit[model.ref] = f"of the newest rows of this flow, {flaw}"
        return flaw is not None


def _by_ref(serving: TargetModels) -> dict[str, OnnxModel]:
    return {model.ref: model for model in (serving.champion, *serving.challengers)}
