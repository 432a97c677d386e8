"""Live quality of several partitions as one: the sums of their windows, and the figures of them.

A partition's window is what its process knows of it. Processes share them through Redis, so that a
point counts all partitions whichever process makes it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flows.monitoring.figures import (
    CLASSIFIER_WIDTH,
    FORECAST_WIDTH,
    classifier_figures,
    forecast_figures,
)
from flows.numeric.arrays import Float64
from schemas.quality import ModelQuality, ModelWindow, QualityPoint, QualityWindow

_SUMS = np.dtype("<f8")


def model_window(variant: str | None, from_ns: int, minutes: Sequence[Float64]) -> ModelWindow:
    """Return one model's part of a window, the sums of its minutes added up."""
    sums = np.sum(minutes, axis=0).astype(_SUMS).tobytes()
    return ModelWindow(variant=variant, from_ns=from_ns, sums=sums)


def beside(
    own: Sequence[QualityWindow], others: Sequence[QualityWindow], window_ns: int
) -> list[QualityWindow]:
    """Return a target's windows of this process, and those of other ones that count beside them.

    Parameters
    ----------
    others
        As other processes left them. One of a partition of this process, of another kind of
        target, or that is not a window at all is left out; so is one that lies more than a window's
        length before or behind this process's: it is of another time.
    window_ns
        Length of a window, nanoseconds of event time.
    """
    mine = {window.partition for window in own}
    newest_ns = max(window.ts_ns for window in own)
    found = list(own)
    for window in others:
        is_near = abs(window.ts_ns - newest_ns) < window_ns
        if window.partition not in mine and is_near and _is_usable(window, own[0]):
            found.append(window)
    return found


def combine(windows: Sequence[QualityWindow]) -> QualityPoint:
    """Return the point of one target's windows, at least one, each of another partition.

    The champion is that of the window that is newest.
    """
    newest = max(windows, key=lambda window: window.ts_ns)
    champion = newest.champion
    variants: dict[str, str | None] = {}
    sums: dict[str, list[Float64]] = {}
    for window in windows:
        for ref, model in window.models.items():
            sums.setdefault(ref, []).append(np.frombuffer(model.sums, _SUMS))
            variants[ref] = model.variant or variants.get(ref)
    figures: Callable[[Float64], Mapping[str, Any]] = (
        classifier_figures if newest.kind == "classification" else forecast_figures
    )
    models = [
        ModelQuality(
            model=ref,
            role="champion" if ref == champion else "challenger",
            variant=variants[ref],
            **figures(np.sum(parts, axis=0)),
        )
        for ref, parts in sums.items()
    ]
    models.sort(key=lambda each: (each.role != "champion", each.model))
    return QualityPoint(
        target=newest.target,
        kind=newest.kind,
        ts_ns=newest.ts_ns,
        from_ns=min(model.from_ns for window in windows for model in window.models.values()),
        models=models,
    )


def _is_usable(window: QualityWindow, own: QualityWindow) -> bool:
    if (window.target, window.kind) != (own.target, own.kind):
        return False
    width = CLASSIFIER_WIDTH if window.kind == "classification" else FORECAST_WIDTH
    for model in window.models.values():
        if len(model.sums) != width * _SUMS.itemsize:
            return False
        sums = np.frombuffer(model.sums, _SUMS)
        if not (np.isfinite(sums).all() and (sums >= 0).all()):
            return False
    return True
