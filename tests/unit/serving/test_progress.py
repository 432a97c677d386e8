"""How far the pipeline is and how long ticks take, from samples of its topics."""

import pytest

from serving.log.progress import RECENT_S, Sample, TickTimes, latencies, partition_state

MS = 1_000_000


def _sample() -> Sample:
    ticks = {at: (TickTimes(at * 100 * MS, (at * 100 + 5) * MS), at * 100 + 7) for at in range(50)}
    scores = {at: ((at * 100 + 10) * MS, at * 100 + 16) for at in range(48)}
    return Sample(3, 50, ticks, scores)


def test_each_step_of_a_ticks_way_has_its_percentiles() -> None:
    found = {each.stage: each for each in latencies([_sample()])}
    assert {stage: (each.count, each.p50_ms, each.p99_ms) for stage, each in found.items()} == {
        "venue to receiver": (50, 5.0, 5.0),
        "receiver to log": (50, 2.0, 2.0),
        "log to score": (48, 3.0, 3.0),
        "score to log": (48, 6.0, 6.0),
        "venue to score": (48, 10.0, 10.0),
    }


def test_history_that_was_sent_at_full_speed_has_no_latency() -> None:
    found = {each.stage: each for each in latencies([_sample()], 40 * 100 * MS)}
    assert {each.count for each in found.values()} == {10, 8}
    assert latencies([_sample()], 10**18) == []


def test_a_partition_knows_its_lag_and_its_rate() -> None:
    state = partition_state(_sample(), now_ms=5000.0, owner="one")
    assert (state.partition, state.ticks, state.lag, state.owner) == (3, 50, 2, "one")
    assert state.ticks_per_s == pytest.approx(10.0, rel=0.05)


def test_a_sample_that_does_not_reach_the_newest_scores_has_no_lag() -> None:
    sample = _sample()
    sample.whole = False
    assert partition_state(sample, 5000.0, None).lag is None


def test_a_feed_that_stopped_has_a_rate_of_nothing() -> None:
    state = partition_state(_sample(), now_ms=5000.0 + 2000 * RECENT_S, owner=None)
    assert state.ticks_per_s == 0.0
    assert partition_state(Sample(0, 0), now_ms=1.0, owner=None).lag is None
