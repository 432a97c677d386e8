"""The wait between two turns grows with the turns."""

import pytest

from flows.feeds.pacing import Pacing

STEP_US = 10.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_each_wait_is_longer_than_the_last_by_the_step() -> None:
    clock = Clock()
    pacing = Pacing(STEP_US, clock)
    assert pacing.wait_s == 0.0
    waits = []
    for _ in range(4):
        pacing.note_turn()
        waits.append(pacing.wait_s)
        clock.now_s += pacing.wait_s
        assert pacing.wait_s == 0.0
    assert waits == pytest.approx([10e-6, 20e-6, 30e-6, 40e-6], abs=1e-9)


def test_wait_counts_from_when_the_turn_was_taken() -> None:
    clock = Clock()
    pacing = Pacing(STEP_US, clock)
    pacing.note_turn()
    clock.now_s += 4e-6
    assert pacing.wait_s == pytest.approx(6e-6, abs=1e-9)
    clock.now_s += 1.0
    assert pacing.wait_s == 0.0


def test_turns_grow_with_the_square_root_of_time() -> None:
    clock = Clock()
    pacing = Pacing(STEP_US, clock)
    turns = 0
    while clock.now_s < 100.0 + 3600.0:
        pacing.note_turn()
        clock.now_s += pacing.wait_s
        turns += 1
    assert turns == pytest.approx((2 * 3600.0 / 10e-6) ** 0.5, rel=0.01)


def test_without_a_step_there_is_no_wait() -> None:
    pacing = Pacing(0)
    for _ in range(1_000):
        pacing.note_turn()
    assert pacing.wait_s == 0.0
