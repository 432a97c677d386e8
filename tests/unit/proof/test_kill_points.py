"""The plan of kills."""

import pytest

from tests.proof.kill_points import naps, plan
from tests.proof.killable import POINTS


@pytest.mark.parametrize("kills", [0, 1, 5, 11, 100])
def test_plan_takes_exactly_the_kills_asked_for(kills: int) -> None:
    assert sum(kill_point.kills for kill_point in plan(1, kills)) == kills


def test_same_seed_same_plan() -> None:
    assert plan(7, 20) == plan(7, 20)
    assert plan(7, 20) != plan(8, 20)


def test_every_kind_of_kill_point_comes_before_one_is_repeated() -> None:
    kinds = [kill_point.point or kill_point.kind for kill_point in plan(3, 12)]
    assert set(kinds) == {*POINTS, "run", "start", "overlap"}


def test_naps_are_seeded_and_last_a_second_to_a_minute() -> None:
    assert naps(7, 3) == naps(7, 3) != naps(8, 3)
    assert all(1.0 <= nap <= 60.0 for nap in naps(9, 500))
    assert min(naps(9, 500)) < 3.0 < 57.0 < max(naps(9, 500))
