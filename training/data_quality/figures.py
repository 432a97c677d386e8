"""Our figures of drift for each column, which Evidently's stand beside.

Ours count by the reference's deciles, undefined values as a bin of their own, as the running flow
does; Evidently's PSI takes bins of equal width over both sides, undefined values left out. They
put the columns in much the same order, and differ in the digits.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from flows.monitoring.drift import MOVED_SHARE, MUCH, SCORE, UNCOMPARED
from flows.numeric.arrays import Float64
from flows.numeric.histograms import (
    bin_counts,
    kolmogorov_smirnov,
    share_beyond,
    stability_index,
)
from schemas.models import FeatureReference
from training.data_quality.rows import Rows
from training.publishing.versions import histogram_of

UNDEFINED: Final = "undefined"
CONSTANT: Final = "constant"


class ColumnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One column of both sides; a figure is null where it is undefined.

    Attributes
    ----------
    psi, ks, beyond
        As of :class:`schemas.drift.InputDrift`.
    evidently_psi
        Evidently's; null where it was not asked.
    undefined_reference, undefined_current
        Shares of values that are undefined, in [0, 1].
    notes
        What is unusual, in plain words.
    """

    feature: str
    psi: float | None
    ks: float | None
    beyond: float | None
    undefined_reference: float
    undefined_current: float
    notes: list[str]
    evidently_psi: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All columns, and what they come to.

    Attributes
    ----------
    moved
        Share of the features whose PSI is 0.25 or more; times of day and ages are left out. Null
        where none could be compared.
    drifted
        Whether so many have moved that the flow would call it drift.
    """

    columns: list[ColumnFigures]
    moved: float | None
    drifted: bool


def compare(
    reference: Rows, current: Rows, trained: Mapping[str, FeatureReference]
) -> list[ColumnFigures]:
    """Return the figures of every column.

    Parameters
    ----------
    trained
        Histograms to compare with, by column; those of the reference's own rows elsewhere.
    """
    return [
        _figures(
            name,
            reference.values[:, column].astype(np.float64),
            current.values[:, column].astype(np.float64),
            trained.get(name),
        )
        for column, name in enumerate(reference.columns)
    ]


def judge(columns: list[ColumnFigures]) -> Comparison:
    """Return what the figures come to, columns that moved most first."""
    indices = {
        each.feature: each.psi
        for each in columns
        if each.psi is not None and each.feature not in UNCOMPARED
    }
    score = indices.pop(SCORE, 0.0)
    moved = float(np.mean([psi >= MUCH for psi in indices.values()])) if indices else None
    drifted = score >= MUCH or (moved is not None and moved >= MOVED_SHARE)
    ordered = sorted(columns, key=lambda each: -(each.psi or 0.0))
    return Comparison(columns=ordered, moved=moved, drifted=drifted)


def comparable(columns: list[ColumnFigures]) -> list[str]:
    """Return the columns that have a value on both sides: Evidently refuses the others."""
    return [
        each.feature
        for each in columns
        if max(each.undefined_reference, each.undefined_current) < 1
    ]


def _figures(
    name: str, reference: Float64, current: Float64, trained: FeatureReference | None
) -> ColumnFigures:
    histogram = histogram_of(name, reference) if trained is None else trained
    counts = None
    if histogram is not None and len(histogram.edges) > 1:
        counts = bin_counts(histogram, current)
    return ColumnFigures(
        feature=name,
        psi=None if histogram is None or counts is None else stability_index(histogram, counts),
        ks=None if histogram is None or counts is None else kolmogorov_smirnov(histogram, counts),
        beyond=None if counts is None else share_beyond(counts),
        undefined_reference=float(np.isnan(reference).mean()),
        undefined_current=float(np.isnan(current).mean()),
        notes=[*_notes("reference", reference), *_notes("current", current)],
    )


def _notes(side: str, values: Float64) -> list[str]:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return [f"{UNDEFINED} in the {side}"]
    return [f"{CONSTANT} in the {side}"] if known.min() == known.max() else []
