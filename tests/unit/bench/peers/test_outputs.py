"""What is told from a peer's outputs."""

import numpy as np
import pytest

from tests.bench.peers.outputs import (
    Outputs,
    account_of,
    features_of,
    input_offset,
    score_of,
    slope_of,
)
from tests.bench.peers.work import message

TICK = {"symbol": "BTC-USD", "ts_event_ns": 5}
OURS = b'{"symbol":"A","scores":{"spike":{"score":0.25,"model":"m"}},"partition":0,"offset":7}'


def outputs(*told: tuple[int, float]) -> Outputs:
    values = [message(TICK, score, offset, None) for offset, score in told]
    return Outputs(np.zeros(len(told), np.int64), values)


def test_an_output_tells_its_input_and_its_score() -> None:
    theirs = message(TICK, 0.5, 12, [1.0, float("nan")])
    assert input_offset(theirs) == 12
    assert score_of(theirs) == 0.5
    assert features_of(theirs) == [1.0, pytest.approx(float("nan"), nan_ok=True)]
    assert input_offset(OURS) == 7
    assert score_of(OURS) == 0.25


def test_spaces_and_further_fields_of_an_engine_do_no_harm() -> None:
    assert input_offset(b'{"score": 0.5, "offset": 3, "diff": 1, "time": 99}') == 3


def test_what_is_no_output_is_refused() -> None:
    with pytest.raises(ValueError, match="not an output"):
        input_offset(b"{}")
    with pytest.raises(ValueError, match="no features"):
        features_of(OURS)


def test_the_rate_of_copies_needs_no_inputs() -> None:
    copies = Outputs(np.arange(0, 10_000, 2), [b"{}"] * 5_000)
    assert slope_of(copies.appended_ms).ticks_per_s == pytest.approx(500.0)
    with pytest.raises(ValueError, match="not an output"):
        _ = copies.inputs


def test_lost_repeated_and_different_outputs_are_counted_by_input() -> None:
    expected = np.array([0.1, 0.2, 0.3, 0.4])
    found = account_of(outputs((0, 0.1), (1, 0.2), (1, 0.2), (3, 0.9), (3, 0.9)), expected)
    assert (found.lost, found.twice, found.different) == (1, 2, 1)


def test_inputs_before_the_first_that_counts_are_not_missed() -> None:
    found = account_of(outputs((2, 0.3), (3, 0.4)), np.array([0.1, 0.2, 0.3, 0.4]), first=2)
    assert (found.lost, found.twice, found.different) == (0, 0, 0)


def test_a_steady_run_has_the_slope_of_its_outputs() -> None:
    found = slope_of(np.arange(0, 10_000, 2))
    assert found.ticks_per_s == pytest.approx(500.0)


def test_a_slow_start_does_not_count() -> None:
    times = np.concatenate([np.linspace(0, 60_000, 100), 60_000 + np.arange(1, 1_000)])
    assert slope_of(times.astype(np.int64)).ticks_per_s == pytest.approx(1_000.0, rel=0.01)


def test_batches_count_from_the_end_of_one_to_the_end_of_another() -> None:
    times = np.repeat(np.arange(10) * 1_000, 500)
    assert slope_of(times).ticks_per_s == pytest.approx(500.0)


def test_one_batch_has_no_slope() -> None:
    with pytest.raises(ValueError, match="all at once"):
        slope_of(np.zeros(500, np.int64))
