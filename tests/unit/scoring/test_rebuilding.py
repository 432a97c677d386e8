"""When the set of models is built again."""

from flows.scoring.rebuilding import FIRST_RETRY_S, LONGEST_RETRY_S, RebuildSchedule


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_store_never_looked_at_is_due() -> None:
    assert RebuildSchedule(Clock()).due("a")


def test_a_complete_build_holds_until_the_store_changes() -> None:
    clock = Clock()
    schedule = RebuildSchedule(clock)
    schedule.built("a", complete=True)
    clock.now += 1e6
    assert not schedule.due("a")
    assert schedule.due("b")


def test_a_failure_holds_twice_as_long_each_time_up_to_a_limit() -> None:
    clock = Clock()
    schedule = RebuildSchedule(clock)
    waits = []
    for _ in range(8):
        schedule.built("a", complete=False)
        began = clock.now
        while not schedule.due("a"):
            clock.now += 0.125
        waits.append(clock.now - began)
    assert waits[0] == FIRST_RETRY_S
    assert waits[1:4] == [2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S, 8 * FIRST_RETRY_S]
    assert waits[-1] == LONGEST_RETRY_S


def test_a_change_of_the_store_ends_the_wait_and_begins_it_anew() -> None:
    clock = Clock()
    schedule = RebuildSchedule(clock)
    for _ in range(5):
        schedule.built("a", complete=False)
    assert not schedule.due("a")
    assert schedule.due("b")
    schedule.built("b", complete=False)
    clock.now += FIRST_RETRY_S
    assert schedule.due("b")
