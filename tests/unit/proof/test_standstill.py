"""How long scoring stood still."""

from tests.proof.standstill import Standstill


def longest(*looks: tuple[float, dict[int, int]]) -> float:
    standstill = Standstill()
    for now_s, offsets in looks:
        standstill.look(now_s, offsets)
    return standstill.longest_s


def test_partition_that_moves_at_every_look_stood_still_between_two() -> None:
    assert longest((0.0, {0: 1}), (0.5, {0: 2}), (1.0, {0: 3})) == 0.5


def test_longest_standstill_of_any_partition_counts() -> None:
    looks = [(float(now), {0: now, 1: max(now - 5, 0)}) for now in range(10)]
    assert longest(*looks) == 6.0


def test_standstill_that_has_not_ended_counts() -> None:
    assert longest((0.0, {0: 7}), (1.0, {0: 7}), (4.0, {0: 7})) == 4.0


def test_partition_without_input_does_not_stand_still() -> None:
    standstill = Standstill()
    standstill.look(0.0, {0: 7, 1: 7})
    standstill.look(5.0, {0: 7, 1: 7}, idle={0})
    assert standstill.by_partition_s == {0: 0.0, 1: 5.0}
    standstill.look(6.0, {0: 7, 1: 7}, idle={1})  # what came to the first waits since 5 s
    assert standstill.by_partition_s == {0: 1.0, 1: 5.0}
    assert standstill.longest_s == 5.0


def test_unmoved_are_those_that_the_last_look_found_there() -> None:
    standstill = Standstill()
    assert standstill.unmoved({0: 7}) == {}
    standstill.look(0.0, {0: 7, 1: 7})
    assert standstill.unmoved({0: 7, 1: 8, 2: 0}) == {0: 7}
