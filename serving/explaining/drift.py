"""How far served features have moved from their training, where enough of them is known.

The rows of one moment nearly repeat each other, and so do those within a feature's window. A
stability index of ``n`` independent values against a training with ``m`` of them is about
``bins * (1/n + 1/m)`` where nothing has moved, so few values look like much drift.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from flows.numeric.arrays import Float64, Int64
from flows.numeric.histograms import population_stability
from flows.numeric.time import NS_PER_S
from schemas.features import INDEX
from schemas.models import FeatureReference, ModelManifest

APART_S = 300
"""A calm or a burst lasts for about so long, and sets most features; closer rows count as one."""
SMALL_NOISE = 0.1
"""With an index of chance up to this, the figure itself tells."""
FAR_ABOVE = 4.0
"""With a greater one, only an index of so many times that tells anything."""

_WINDOW = re.compile(r"_(\d+)$")
_CYCLES_S = {
    "minute_position": 60,
    "quarter_hour_position": 900,
    "hour_position": 3_600,
    "time_of_day_sin": 86_400,
    "time_of_day_cos": 86_400,
}
_AGES = frozenset({"gap_age_s", "history_s"})
"""They tell of restarts, not of the market."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of some time.

    Attributes
    ----------
    values
        float64, shape (n, len(NAMES)); undefined is NaN.
    ts_event_ns
        int64, shape (n,).
    series
        int64, shape (n,): equal for rows of one symbol and venue.
    """

    values: Float64
    ts_event_ns: Int64
    series: Int64

    def __len__(self) -> int:
        return len(self.values)

    def independent(self, apart_s: int) -> int:
        """Return how many rows of the same series lie at least so far apart, all series together.

        With those of each series counted from its oldest on.
        """
        count = 0
        for one in np.unique(self.series):
            times = np.sort(self.ts_event_ns[self.series == one])
            at = 0
            while at < len(times):
                count += 1
                at = int(np.searchsorted(times, times[at] + apart_s * NS_PER_S))
        return count


def known_drift(manifest: ModelManifest, sample: Sample) -> dict[str, float]:
    """Return the population stability index of each feature of which enough is known."""
    found = {}
    # Counted once for each length, which most features share.
    independent = cache(sample.independent)
    for reference in manifest.reference:
        name = reference.feature
        if name not in INDEX or name in _AGES:
            continue
        index = population_stability(reference, sample.values[:, INDEX[name]])
        noise = _noise(reference, manifest, independent)
        if index is not None and (noise <= SMALL_NOISE or index >= FAR_ABOVE * noise):
            found[name] = index
    return found


def lasts_s(feature: str) -> int:
    """Return for how many seconds a feature's value depends on the same ticks, or repeats."""
    window = _WINDOW.search(feature)
    own_s = int(window[1]) if window else _CYCLES_S.get(feature, 0)
    return max(own_s, APART_S)


def _noise(
    reference: FeatureReference, manifest: ModelManifest, independent: Callable[[int], int]
) -> float:
    """Return the index that chance alone would give; infinite where that is not known."""
    apart_s = lasts_s(reference.feature)
    served = independent(apart_s)
    # How many symbols it was trained on is not known: at least one.
    trained = sum(1 + (to - since) // (apart_s * NS_PER_S) for since, to in _windows(manifest))
    if not served or not trained:
        return np.inf
    return len(reference.counts) * (1 / served + 1 / trained)


def _windows(manifest: ModelManifest) -> list[tuple[int, int]]:
    if manifest.data_windows_ns or manifest.data_from_ns is None or manifest.data_to_ns is None:
        return manifest.data_windows_ns
    return [(manifest.data_from_ns, manifest.data_to_ns)]
