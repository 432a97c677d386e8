"""More than a few dead letters a minute are said, by reason, at most once a minute."""

import pytest

from flows.monitoring.dead_letters import FEW, PERIOD_S, DeadLetterWatch
from schemas.dead_letters import DeadLetterRate


class Said:
    """A watch with a clock of its own, and what it published."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.rates: list[DeadLetterRate] = []
        self.watch = DeadLetterWatch(self.rates.append, lambda: self.now_s)

    def note(self, count: int, reason: str = "not_json", after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.watch.note({reason: count})


@pytest.fixture
def said() -> Said:
    return Said()


def test_a_few_are_not_said(said):
    for _ in range(10):
        said.note(FEW, after_s=PERIOD_S)
    assert said.rates == []


def test_more_than_a_few_are_said_at_once_by_reason(said):
    said.note(3, "not_json", after_s=1.0)
    said.note(4, "crossed_book", after_s=1.0)
    assert said.rates == [DeadLetterRate(seconds=2.0, counts={"not_json": 3, "crossed_book": 4})]


def test_a_flood_is_said_once_a_minute_and_loses_no_count(said):
    for _ in range(601):
        said.note(10, after_s=0.5)
    assert len(said.rates) == 6
    assert sum(rate.counts["not_json"] for rate in said.rates) == 6010
    assert all(rate.seconds >= PERIOD_S for rate in said.rates[1:])


def test_a_quiet_hour_is_not_counted_into_the_next_burst(said):
    said.note(FEW)
    said.note(FEW, after_s=3600.0)
    assert said.rates == []
    said.note(1)
    assert said.rates == [DeadLetterRate(seconds=0.0, counts={"not_json": FEW + 1})]
