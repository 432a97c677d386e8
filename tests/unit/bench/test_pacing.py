"""The load's plan: even, in small slices, and not put off by what is late."""

import numpy as np
import pytest

from flows.numeric.time import NS_PER_S
from tests.bench.pacing import SLICE_NS, due_ns


@pytest.mark.parametrize("rate_hz", [1.0, 100.0, 1_000.0, 5_000.0, 7_777.0])
def test_load_keeps_its_rate_to_a_slice(rate_hz: float) -> None:
    due = due_ns(20_000, rate_hz)
    exact = np.arange(20_000) * NS_PER_S / rate_hz
    assert (np.diff(due) >= 0).all()
    assert np.abs(due - exact).max() <= SLICE_NS


def test_slow_load_is_sent_one_by_one() -> None:
    assert due_ns(4, 100.0).tolist() == [0, 10_000_000, 20_000_000, 30_000_000]


def test_fast_load_is_sent_in_equal_slices() -> None:
    due = due_ns(50_000, 5_000.0)
    _times, counts = np.unique(due, return_counts=True)
    assert set(counts.tolist()) == {10}
