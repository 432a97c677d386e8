"""The plan of kills."""

import pytest

from tests.proof.killable import POINTS
from tests.proof.moments import plan


@pytest.mark.parametrize("kills", [0, 1, 5, 11, 100])
def test_plan_takes_exactly_the_kills_asked_for(kills: int) -> None:
    assert sum(moment.kills for moment in plan(1, kills)) == kills


def test_same_seed_same_plan() -> None:
    assert plan(7, 20) == plan(7, 20)
    assert plan(7, 20) != plan(8, 20)


def test_every_kind_of_moment_comes_before_one_is_repeated() -> None:
    kinds = [moment.point or moment.kind for moment in plan(3, 12)]
    assert set(kinds) == {*POINTS, "run", "start", "overlap"}
