"""Limits and waits of the polling feeds, with clocks of their own."""

from flows.feeds.rest.budget import LONGEST_WAIT_S, Budget, wait_s
from flows.feeds.retry_after import LONGEST_PAUSE_S


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    clock = Clock()
    budget = Budget(2.0, 3.0, clock)
    assert [budget.reserve(1.0) for _ in range(6)] == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]
    clock.now_s += 10.0
    assert budget.reserve(3.0) == 0.0
    assert budget.reserve(25.0) == 12.5


def test_a_hold_is_the_least_wait_and_the_longest_one_counts() -> None:
    clock = Clock()
    budget = Budget(10.0, 10.0, clock)
    budget.hold(5.0)
    budget.hold(2.0)
    assert budget.reserve(1.0) == 5.0
    assert budget.held_s == 5.0
    clock.now_s += 6.0
    assert budget.held_s == 0.0
    assert budget.reserve(1.0) == 0.0


def test_waits_double_up_to_a_limit_and_are_jittered() -> None:
    longest = [wait_s(failures, None, lambda: 1.0) for failures in (1, 2, 3, 7, 1_000)]
    assert longest == [1.0, 2.0, 4.0, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert wait_s(3, None, lambda: 0.0) == 2.0


def test_a_wait_is_never_shorter_than_asked_and_has_a_limit() -> None:
    assert wait_s(9, 7.0, lambda: 0.0) == 7.0
    assert wait_s(9, 7.0, lambda: 0.5) > 7.0
    assert wait_s(1, 1e12, lambda: 0.0) == LONGEST_PAUSE_S
