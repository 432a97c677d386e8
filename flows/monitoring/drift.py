"""Drift: the last hour's inputs and scores of each model against its training's histograms.

A high index has two causes that ask for different acts. The market has moved since the training:
that is drift, and newer ticks mend it. Or the reference is that of another market (simulated ticks,
other symbols, another venue): it never fitted, and the index tells nothing about time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from flows.numeric.arrays import Float64, Int64
from flows.numeric.histograms import (
    bin_counts,
    kolmogorov_smirnov,
    share_beyond,
    stability_index,
)
from flows.numeric.time import NS_PER_MINUTE
from schemas.drift import DriftReport, DriftState, InputDrift, ModelDrift
from schemas.models import FeatureReference, ModelManifest

WINDOW_MINUTES: Final = 60
MUCH: Final = 0.25
"""A PSI from which on a distribution has moved much."""
MOVED_SHARE: Final = 0.3
"""So many of the inputs have to have moved."""
BEYOND_SHARE: Final = 0.1
"""So many values beyond all that the training has seen are those of another market."""
FIRST_MINUTES: Final = 45
"""So many minutes have to be known before rows are said to have moved, or never to have fitted:
those of one calm or burst repeat each other, and fill few of the bins of any training."""
NEVER_SHARE: Final = 0.6
"""It does not where so many of the inputs have moved by then: single hours differ, but not that."""
SCORE: Final = "score"

UNCOMPARED: Final = frozenset(
    {"time_of_day_sin", "time_of_day_cos", "hour_position", "gap_age_s", "history_s"}
)
"""What is known of an hour holds one part of the day alone, and less than the whole hour, and ages
tell of restarts: they would always move."""


@dataclass(slots=True)
class _Tracked:
    manifest: ModelManifest
    minutes: dict[int, dict[str, Int64]] = field(default_factory=dict)
    fitted: bool | None = None

    @property
    def spans(self) -> int:
        """Minutes from the oldest to the newest that is known."""
        return max(self.minutes) - min(self.minutes) + 1


class DriftMonitor:
    """Counts of each model by minute of event time, and what they come to.

    Not safe for use by several threads at once.
    """

    def __init__(self) -> None:
        self._models: dict[str, _Tracked] = {}
        self._newest_minute = 0
        self._fitted_before: dict[str, bool | None] = {}

    def restore(self, report: DriftReport) -> None:
        """Take over from an earlier run which references fitted once."""
        self._fitted_before |= {each.model: each.fitted for each in report.models}

    def move_to(self, minute: int) -> None:
        """Begin anew where the newest of what comes lies more than a window before what was seen.

        A clock that was ahead was put right, or an old recording follows: what was seen before lies
        ahead of all that comes, and would leave it out for as long.

        Parameters
        ----------
        minute
            The newest of event time among the rows that come, since the UNIX epoch.
        """
        if minute <= self._newest_minute - WINDOW_MINUTES:
            self._newest_minute = minute
            for tracked in self._models.values():
                tracked.minutes.clear()

    def observe(
        self,
        manifest: ModelManifest,
        minute: int,
        inputs: Mapping[str, Float64],
        scores: Float64,
    ) -> None:
        """Add rows of one minute.

        Parameters
        ----------
        minute
            Of event time, since the UNIX epoch.
        inputs
            By name, float64, shape (n,); undefined is NaN. May be empty.
        scores
            float64, shape (m,); may be empty.
        """
        tracked = self._models.get(manifest.ref)
        if tracked is None:
            fitted = self._fitted_before.get(manifest.ref)
            tracked = self._models[manifest.ref] = _Tracked(manifest, fitted=fitted)
        counts = tracked.minutes.setdefault(minute, {})
        for reference in manifest.reference:
            values = inputs.get(reference.feature)
            if values is not None and len(reference.edges) > 1:
                _add(counts, reference.feature, bin_counts(reference, values))
        score = manifest.score_reference
        if score is not None and len(scores):
            _add(counts, SCORE, bin_counts(score, scores))
        self._newest_minute = max(self._newest_minute, minute)

    def report(self, target: str, *, simulated: bool) -> DriftReport | None:
        """Return a target's models over the window; None while nothing was seen of it.

        Parameters
        ----------
        simulated
            Whether the market that is scored is simulated.
        """
        first = self._newest_minute - WINDOW_MINUTES + 1
        models = []
        for ref, tracked in list(self._models.items()):
            tracked.minutes = {at: each for at, each in tracked.minutes.items() if at >= first}
            if not tracked.minutes:
                self._fitted_before[ref] = tracked.fitted
                del self._models[ref]
            elif tracked.manifest.target.name == target:
                models.append(_judged(tracked, simulated=simulated))
        if not models:
            return None
        return DriftReport(
            target=target,
            ts_ns=(self._newest_minute + 1) * NS_PER_MINUTE,
            from_ns=first * NS_PER_MINUTE,
            models=models,
        )

    @property
    def targets(self) -> set[str]:
        """Targets of the models that were seen."""
        return {each.manifest.target.name for each in self._models.values()}


def _add(counts: dict[str, Int64], name: str, found: Int64) -> None:
    known = counts.get(name)
    counts[name] = found if known is None else known + found


def _judged(tracked: _Tracked, *, simulated: bool) -> ModelDrift:
    manifest = tracked.manifest
    total: dict[str, Int64] = {}
    for counts in tracked.minutes.values():
        for name, found in counts.items():
            _add(total, name, found)
    inputs = [_compared(each, total) for each in manifest.reference if each.feature in total]
    inputs.sort(key=lambda each: -(each.psi or 0.0))
    reference = manifest.score_reference
    score = _compared(reference, total) if reference is not None and SCORE in total else None
    is_enough = tracked.spans >= FIRST_MINUTES
    fitted = tracked.fitted if is_enough else None
    state, causes, moved = verdict(manifest, inputs, score, simulated=simulated, fitted=fitted)
    if state == "drift" and not is_enough:
        causes = [f"rows of {tracked.spans} minutes are known, and {FIRST_MINUTES} are needed"]
        state, moved = "unknown", None
    elif tracked.fitted is None and moved is not None and is_enough:
        tracked.fitted = state != "misfit" and moved < NEVER_SHARE
        state, causes, moved = verdict(
            manifest, inputs, score, simulated=simulated, fitted=tracked.fitted
        )
    elif state == "stable":
        tracked.fitted = True
    return ModelDrift(
        model=manifest.ref,
        state=state,
        causes=causes,
        rows=max((int(counts[:-1].sum()) for counts in total.values()), default=0),
        moved=moved,
        fitted=tracked.fitted,
        score=score,
        inputs=inputs,
    )


def _compared(reference: FeatureReference, total: Mapping[str, Int64]) -> InputDrift:
    counts = total[reference.feature]
    return InputDrift(
        feature=reference.feature,
        psi=stability_index(reference, counts),
        ks=kolmogorov_smirnov(reference, counts),
        beyond=share_beyond(counts),
    )


def verdict(
    manifest: ModelManifest,
    inputs: list[InputDrift],
    score: InputDrift | None,
    *,
    simulated: bool,
    fitted: bool | None,
) -> tuple[DriftState, list[str], float | None]:
    """Return the state, why it is that, and the share of the inputs that have moved.

    Parameters
    ----------
    fitted
        Whether the reference fitted once; None while that is open.
    """
    compared = [each for each in inputs if each.feature not in UNCOMPARED]
    indices = [each.psi for each in compared if each.psi is not None]
    if not indices:
        why = "too few rows yet" if manifest.reference else "the model has no reference"
        return "unknown", [why], None
    moved = float(np.mean([psi >= MUCH for psi in indices]))
    beyond = [each.beyond for each in compared if each.beyond is not None]
    misfit = []
    if (manifest.provenance == "simulated") != simulated:
        misfit.append(
            f"the training's ticks were {manifest.provenance}, those that are scored are"
            f" {'simulated' if simulated else 'not simulated'}"
        )
    if beyond and float(np.mean(beyond)) >= BEYOND_SHARE:
        misfit.append(
            f"{np.mean(beyond):.0%} of the values lie beyond all that the training has seen"
        )
    causes = []
    if moved >= MOVED_SHARE:
        most = ", ".join(each.feature for each in compared[:3])
        causes.append(f"{moved:.0%} of the inputs have moved, most of all {most}")
    if score is not None and score.psi is not None and score.psi >= MUCH:
        causes.append(f"the scores have moved (PSI {score.psi:.2f})")
    if misfit and causes:
        return "misfit", [*misfit, *causes], moved
    if causes and fitted is False:
        return "misfit", ["it has not fitted since it was first compared", *causes], moved
    return ("drift" if causes else "stable"), causes, moved
