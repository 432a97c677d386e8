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
