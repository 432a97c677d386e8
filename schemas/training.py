"""What a training run tells whoever started it: an exit code, and one last line of JSON."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgspec

from schemas.decoding import decode_or_none


class ExitCode(IntEnum):
    """How a training run ended.

    ``DONE`` and ``STAYED_CHALLENGER`` follow a :class:`TrainingResult` on stdout; the others
    follow one line on stderr.
    """

    DONE = 0
    FAILED = 1
    """An error in the program itself."""
    REFUSED = 2
    """The data, a setting, a file or a server are at fault."""
    LEAK = 4
    """A leak alarm: a model knows something that it cannot know."""
    STAYED_CHALLENGER = 5
    """Published, but the gate kept the candidate a challenger."""


Interval = tuple[float | None, float | None]
"""Low and high end; null where undefined."""


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of ``python -m training.retrain`` on stdout.

    Attributes
    ----------
    target
        Name of the target.
    version
        ``name@version`` of the candidate, published or not; null if it has none.
    published
        Whether the versions are in the store.
    champion
        Whether the candidate became the champion.
    prevalence
        Share of events among the folds' test rows, in [0, 1]; null for a forecast.
    pr_auc, pr_auc_ci
        The candidate's PR-AUC and its 95 % interval; null for a forecast, whose numbers (``rmse``,
        ``mae``, ``direction``) stand in ``variants``.
    best_baseline, best_baseline_pr_auc
        Name of the best baseline and its PR-AUC; null as ``pr_auc`` is.
    lift, lift_ci
        Ratio to the best baseline, above 1 is better, and its 95 % interval.
    variants
        Figures of each variant by name. Undefined numbers are null.
    """

    target: str
    version: str | None
    published: bool
    champion: bool
    prevalence: float | None = None
    pr_auc: float | None = None
    pr_auc_ci: Interval | None = None
    best_baseline: str | None = None
    best_baseline_pr_auc: float | None = None
    lift: float | None = None
    lift_ci: Interval | None = None
    variants: Mapping[str, Mapping[str, Any]] = {}


_DECODE = msgspec.json.Decoder(TrainingResult).decode


def encode_result(result: TrainingResult) -> str:
    """Return the line, without its newline; NaN and infinity are written as null."""
    return msgspec.json.encode(result).decode()


def find_result(output: str) -> TrainingResult | None:
    """Return the last training result in what a process wrote; None if there is none."""
    for line in reversed(output.splitlines()):
        found = decode_or_none(_DECODE, line.encode(errors="replace"))
        if found is not None:
            return found
    return None
