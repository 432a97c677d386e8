"""Figures of two sides, beside a plain count, and the cases that Evidently refuses."""

import math

import numpy as np
import pytest

from flows.monitoring.drift import SCORE
from training.data_quality.figures import comparable, compare, judge
from training.data_quality.rows import Rows
from training.publishing.versions import histogram_of

COLUMNS = ("log_return_1", "imbalance", "spread_bps", "gap_age_s")


def rows(seed: int, shift: float = 0.0, count: int = 600) -> Rows:
    values = np.random.default_rng(seed).normal(shift, 1, (count, 4)).astype(np.float32)
    values[::7, 1] = np.nan
    values[:, 3] = 5
    return Rows("a market", values, np.arange(count, dtype=np.int64), COLUMNS)


def plain_psi(one: list[float], two: list[float], edges: list[float]) -> float:
    """Return the index by a loop over values, undefined ones as a bin of their own."""

    def shares(values: list[float]) -> list[float]:
        counts = [0] * len(edges)
        for value in values:
            if math.isnan(value):
                counts[-1] += 1
                continue
            inner = sum(value >= edge for edge in edges[1:-1])
            counts[inner] += 1
        return [max(count / len(values), 1e-4) for count in counts]

    return sum((q - p) * math.log(q / p) for p, q in zip(shares(one), shares(two), strict=True))


def test_the_index_is_that_of_a_plain_count() -> None:
    reference, current = rows(1), rows(2, shift=0.3)
    for column, found in enumerate(compare(reference, current, {})[:3]):
        one, two = (side.values[:, column].astype(float) for side in (reference, current))
        histogram = histogram_of("x", one)
        assert histogram is not None
        expected = plain_psi(one.tolist(), two.tolist(), list(histogram.edges))
        assert found.psi == pytest.approx(expected, rel=1e-9)


def test_equal_sides_have_not_moved_and_far_ones_have() -> None:
    same = judge(compare(rows(1), rows(1), {}))
    assert (same.moved, same.drifted) == (0.0, False)
    far = judge(compare(rows(1), rows(2, shift=3), {}))
    assert (far.moved, far.drifted) == (1.0, True)
    assert far.columns[-1].feature == "gap_age_s"  # those that moved most come first


def test_a_version_is_compared_with_its_own_histograms() -> None:
    far = histogram_of("imbalance", np.linspace(50, 60, 500))
    assert far is not None
    plain, trained = compare(rows(1), rows(2), {}), compare(rows(1), rows(2), {"imbalance": far})
    assert plain[1].psi < 0.25 < trained[1].psi
    assert plain[0] == trained[0]


def test_scores_alone_can_have_moved() -> None:
    def scored(shift: float) -> Rows:
        one = rows(1)
        values = one.values[:, :2].copy()
        values[:, 1] += np.float32(shift)
        return Rows(one.name, values, one.ts_ns, ("log_return_1", SCORE))

    found = judge(compare(scored(0), scored(3), {}))
    assert (found.moved, found.drifted) == (0.0, True)


def test_what_is_unusual_is_said() -> None:
    reference, current = rows(1), rows(2)
    reference.values[:, 2] = np.nan
    current.values[:, 0] = np.nan
    found = {each.feature: each for each in compare(reference, current, {})}
    assert found["spread_bps"].notes == ["undefined in the reference"]
    assert found["spread_bps"].psi is None
    assert found["log_return_1"].notes == ["undefined in the current"]
    assert found["log_return_1"].psi > 1
    assert found["gap_age_s"].notes == ["constant in the reference", "constant in the current"]
    assert found["gap_age_s"].psi == 0
    assert comparable(list(found.values())) == ["imbalance", "gap_age_s"]
    nothing = judge([found["spread_bps"]])
    assert (nothing.moved, nothing.drifted) == (None, False)
