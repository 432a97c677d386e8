"""A clock that is set back is noticed; one that is slewed, set forward or stands still is not."""

import threading

import pytest

from flows.errors import ClockError
from flows.runtime import clock_steps
from flows.runtime.clock_steps import ClockSteps, end_when_set_back

TABLE = {
    "as it should": ([(1.0, 1.0), (2.0, 2.0)], [0.0, 0.0]),
    "set back": ([(-3_599.0, 1.0), (-3_598.0, 2.0)], [3_600.0, 0.0]),
    "set forward, then right again": ([(3_601.0, 1.0), (2.0, 2.0)], [0.0, 3_600.0]),
    "asleep": ([(9_000.0, 1.0), (9_001.0, 2.0)], [0.0, 0.0]),
    "a long look": ([(50.0, 50.0), (51.0, 51.0)], [0.0, 0.0]),
}


@pytest.mark.parametrize("case", TABLE)
def test_steps_back(case: str) -> None:
    looks, expected = TABLE[case]
    readings = [(0.0, 0.0), *looks]
    steps = ClockSteps(
        iter([wall for wall, _ in readings]).__next__, iter([mono for _, mono in readings]).__next__
    )
    assert [steps.look() for _ in looks] == expected


def test_a_flow_is_told_once(monkeypatch) -> None:
    told, ended = [], threading.Event()
    monkeypatch.setattr(clock_steps, "_LOOK_S", 0.001)
    monkeypatch.setattr(ClockSteps, "look", iter([0.0, 4.9, 3_600.4, 3_600.0]).__next__)

    def tell(error: BaseException) -> None:
        told.append(error)
        ended.set()

    end_when_set_back(tell)
    assert ended.wait(30)
    [error] = told
    assert isinstance(error, ClockError)
    assert str(error).startswith("this host's clock was set back by 3,600 s")
