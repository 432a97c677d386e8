"""Decide whether a candidate may become champion.

A candidate is compared twice, because each comparison alone can mislead: recipe against recipe on
the same folds (a file may have had a lucky day), and file against file on data that neither was
trained on (a recipe may do badly with the newest data).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_S
from schemas.models import ModelManifest, Provenance, TargetSpec
from training.evaluation.bootstrap import bootstrap
from training.evaluation.metrics import quality
from training.evaluation.results import Comparison, Results, compare

CONFIDENCE = 0.9
# With fewer blocks of time, however many rows they hold, a bootstrap interval means nothing.
MIN_UNSEEN_BLOCKS = 10


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate becomes champion, and the reasons as sentences."""

    champion: bool
    reasons: list[str]


def unseen(
    rows: Int64, ts_ns: Int64, manifest: ModelManifest, horizon_s: int, embargo_s: int
) -> Int64:
    """Return those rows that lie clear of a model's training data.

    A row is clear if its label and its features share no time with the training window.
    """
    known = manifest.data_windows_ns
    if not known and manifest.data_from_ns is not None and manifest.data_to_ns is not None:
        known = [(manifest.data_from_ns, manifest.data_to_ns)]
    apart = (horizon_s + embargo_s) * NS_PER_S
    times = ts_ns[rows]
    clear = np.ones(len(rows), np.bool_)
    for from_ns, to_ns in known:
        clear &= (times < from_ns - apart) | (times > to_ns + apart)
    return rows[clear]


def compare_files(
    truth: Bool | Float64,
    ts_ns: Int64,
    candidate: Float64,
    champion: Float64,
    target: TargetSpec,
) -> Comparison:
    """Compare two files' scores of the same rows, paired by blocks of time."""
    kind = target.kind
    both = {"candidate": candidate, "champion": champion}
    draws = bootstrap(kind, truth, both, ts_ns, horizon_s=target.horizon_s)
    return compare(
        quality(kind, truth, candidate),
        quality(kind, truth, champion),
        draws["candidate"],
        draws["champion"],
        kind,
    )


def decide(
    *,
    candidate: str,
    target: TargetSpec,
    provenance: Provenance,
    serves: str,
    champion: ModelManifest | None,
    results: Results,
    file_against_file: Callable[[], tuple[Comparison, int]] | None,
    confidence: float = CONFIDENCE,
) -> Decision:
    """Return the decision on a candidate.

    Parameters
    ----------
    candidate
        Variant of the candidate, one of ``results``.
    target
        What the candidate predicts.
    serves
        ``live`` or ``simulated``: what kind of feed this store's champions score.
    champion
        The present one; None if the target has none.
    file_against_file
        Compares the two files on unseen rows and returns the number of blocks of time of these
        rows; None without champion.
    confidence
        Share of resamples in which the candidate must be better.
    """
    if provenance == "simulated" and serves != "simulated":
        return Decision(False, ["trained on simulated data: never champion of a live feed"])
    if champion is not None and not champion.target.asks_the_same(target):
        return Decision(
            False,
            [
                f"the champion {champion.ref} predicts something else (its form,"
                " horizon, lookback or percentile); promote by hand, or publish"
                " into another store"
            ],
        )
    good, reason = _against_baseline(candidate, results)
    reasons = [reason]
    if champion is None:
        return Decision(good, ["the target has no champion", *reasons])
    if champion.provenance == "simulated" and provenance != "simulated":
        return Decision(
            good, [f"the champion {champion.ref} is trained on simulated data", *reasons]
        )
    if champion.variant == candidate:
        reasons.append(f"recipe: the same as the champion's ({candidate})")
    elif champion.variant in results.variants:
        found = results.compare(candidate, champion.variant)
        good &= found.chance >= confidence and found.lift > 1
        reasons.append(f"recipe: {candidate} against {champion.variant}: {_words(found)}")
    else:
        reasons.append(f"recipe: that of {champion.ref} ({champion.variant}) is not known here")
    assert file_against_file is not None  # noqa: S101  # there is a champion
    found, blocks = file_against_file()
    if blocks < MIN_UNSEEN_BLOCKS:
        good = False
        reasons.append(
            f"file: only {blocks} blocks of time that neither was trained on, and a decision takes"
            f" {MIN_UNSEEN_BLOCKS}; record longer"
        )
    else:
        good &= found.chance >= confidence and found.lift > 1
        reasons.append(
            f"file: against {champion.ref} on {blocks} unseen blocks of time: {_words(found)}"
        )
    return Decision(bool(good), reasons)


def _against_baseline(candidate: str, results: Results) -> tuple[bool, str]:
    """Require that a candidate beats the best baseline on the folds, whatever the champion is."""
    baseline = results.best(baseline=True)
    if baseline is None or baseline == candidate:
        return True, "no baseline is better"
    found = results.compare(candidate, baseline)
    good = found.lift > 1
    word = "beats" if good else "does not beat"
    return good, f"{candidate} {word} the best baseline, {baseline} ({_words(found)})"


def _words(found: Comparison) -> str:
    low, high = found.lift_ci
    return f"lift {found.lift:.3f} [{low:.3f}, {high:.3f}], better in {found.chance:.0%} of draws"
