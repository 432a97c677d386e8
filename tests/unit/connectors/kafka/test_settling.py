"""When the next transaction begins, and what goes first in it; by a clock of the test's own."""

import pytest

from flows.connectors.kafka.settling import (
    CAUTIOUS_COMMITS,
    REFUSED_IN_A_ROW,
    REFUSED_S,
    SETTLE_S,
    Settling,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def settling() -> tuple[Settling, Clock]:
    clock = Clock()
    return Settling(clock, clock.sleep), clock


def refuse(made: Settling, times: int, seconds: float = REFUSED_S) -> None:
    for _ in range(times):
        made.note_commit(seconds, caught_up=True)


def test_the_first_transaction_does_not_wait():
    made, clock = settling()
    made.wait()
    assert clock.slept == []
    assert not made.offset_first


@pytest.mark.parametrize("how", ["commit", "abort"])
def test_the_next_waits_for_what_is_left_of_the_time(how: str):
    made, clock = settling()
    if how == "commit":
        made.note_commit(0.004, caught_up=True)
    else:
        made.note_end()
    clock.now_s += SETTLE_S / 4
    made.wait()
    assert clock.slept == [pytest.approx(SETTLE_S * 3 / 4)]
    made.wait()
    assert len(clock.slept) == 1


def test_a_transaction_that_comes_late_does_not_wait():
    made, clock = settling()
    made.note_commit(0.004, caught_up=True)
    clock.now_s += 2 * SETTLE_S
    made.wait()
    assert clock.slept == []


def test_refusals_in_a_row_put_the_offset_first_for_a_while():
    made, clock = settling()
    refuse(made, REFUSED_IN_A_ROW - 1)
    assert not made.offset_first
    refuse(made, 1)
    for _ in range(CAUTIOUS_COMMITS):
        assert made.offset_first
        made.wait()
        refuse(made, 1)
    assert clock.slept == []
    assert not made.offset_first
    refuse(made, REFUSED_IN_A_ROW)
    assert made.offset_first


def test_a_commit_in_time_ends_the_row():
    made, _ = settling()
    for _ in range(5):
        refuse(made, REFUSED_IN_A_ROW - 1)
        refuse(made, 1, seconds=REFUSED_S / 2)
    assert not made.offset_first


def test_commits_under_backlog_are_slow_for_their_size():
    made, _ = settling()
    for _ in range(2 * REFUSED_IN_A_ROW):
        made.note_commit(1.0, caught_up=False)
    assert not made.offset_first
