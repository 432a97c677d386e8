"""Which target each model was trained for, asked of the model store while the flow runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from schemas.models import ModelManifest, TargetSpec

RETRY_S = 60.0
"""How long an answer that a model is unknown holds, seconds: it may be published by then."""

MAX_UNKNOWN = 1_000
"""How many unknown models are remembered at most; predictions may name any."""

Span = tuple[int, int]
"""Horizon and lookback of a label, seconds."""


def span_of(spec: TargetSpec) -> Span:
    """Return the horizon and lookback of a target's label, seconds."""
    return spec.horizon_s, spec.lookback_s


@dataclass(frozen=True, slots=True)
class _Unknown:
    until_s: float


class Specs:
    """The target that each model was trained for, by ``name@version``.

    A target is read from the store once. Where there is none, the store is asked again after a
    minute, and the log says so each time.

    Parameters
    ----------
    manifest_of
        Reads a model's manifest, as ``ModelStore.manifest`` does.
    unknown
        What ``manifest_of`` raises where the model is not known.
    clock_s
        Monotonic seconds.
    """

    def __init__(
        self,
        manifest_of: Callable[[str], ModelManifest],
        unknown: tuple[type[Exception], ...],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manifest_of = manifest_of
        self._unknown_errors = unknown
        self._clock_s = clock_s
        self._known: dict[str, TargetSpec] = {}
        self._unknown: dict[str, _Unknown] = {}

    def __call__(self, ref: str) -> TargetSpec | None:
        """Return the target; None where predictions of this model have no outcome by now."""
        spec = self._known.get(ref)
        if spec is not None:
            return spec
        unknown = self._unknown.get(ref)
        if unknown is not None and self._clock_s() < unknown.until_s:
            return None
        spec = self._load(ref)
        if spec is None:
            if len(self._unknown) >= MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[ref] = _Unknown(self._clock_s() + RETRY_S)
        else:
            self._unknown.pop(ref, None)
            self._known[ref] = spec
        return spec

    def _load(self, ref: str) -> TargetSpec | None:
        log = structlog.get_logger()
        try:
            spec = self._manifest_of(ref).target
        except self._unknown_errors as error:
            log.warning("predictions have no outcome", model=ref, cause=str(error))
            return None
        if spec.kind == "classification" and spec.level is None:
            log.warning("predictions have no outcome", model=ref, cause="its target has no level")
            return None
        return spec
