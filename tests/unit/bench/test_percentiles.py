"""Percentiles against values that can be counted by hand."""

import pytest

from flows.numeric.time import NS_PER_MS
from tests.bench.percentiles import ratio, summary_ms


@pytest.mark.parametrize(
    ("durations_ms", "expected"),
    [
        ([7], (7.0, 7.0, 7.0, 7.0)),
        (range(1, 101), (50.0, 95.0, 99.0, 100.0)),
        (reversed(range(1, 101)), (50.0, 95.0, 99.0, 100.0)),
        ([1] * 99 + [500], (1.0, 1.0, 1.0, 500.0)),
        ([1] * 98 + [500, 600], (1.0, 1.0, 500.0, 600.0)),
        ([2, 1], (1.0, 2.0, 2.0, 2.0)),
    ],
)
def test_each_percentile_is_a_measured_value(durations_ms, expected) -> None:
    found = summary_ms([each * NS_PER_MS for each in durations_ms])
    assert found == dict(zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), expected, strict=True))


def test_nothing_measured_has_no_percentiles() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        summary_ms([])


def test_ratio_to_nothing_is_none() -> None:
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(3.0, 0.0) is None
