"""A recording that repeats stays within half a day of the present."""

import itertools

from flows.feeds.loop import LoopShift
from flows.numeric.time import NS_PER_DAY, NS_PER_S
from schemas.ticks import Tick

START_NS = 1_700_000_000 * NS_PER_S
RECORDING = [
    Tick(symbol="A", venue="v", ts_event_ns=START_NS + at * NS_PER_S, price=1.0, trade_id=5 + at)
    for at in (0, 1799)
]


def test_a_loop_that_would_end_half_a_day_ahead_begins_at_the_recordings_own_times() -> None:
    shift = LoopShift(now_ns=lambda: START_NS)
    made = [shift.shift(tick, loop) for loop in range(60) for tick in RECORDING]
    times = [tick.ts_event_ns - START_NS for tick in made]
    assert max(times) <= NS_PER_DAY // 2
    assert times[48] == 0  # 24 loops of half an hour
    assert times[:48] == times[48:96] == sorted(times[:48])
    ids = [tick.trade_id for tick in made]
    assert ids == sorted(set(ids))


def test_a_loop_never_goes_back_by_less_than_restarts_a_symbol() -> None:
    short = [RECORDING[0]]
    shift = LoopShift(now_ns=lambda: START_NS)
    times = [shift.shift(tick, loop).ts_event_ns for loop in range(50_000) for tick in short]
    back = [before - after for before, after in itertools.pairwise(times) if after < before]
    assert back == [NS_PER_DAY // 2]


def test_old_recordings_go_on_rising() -> None:
    shift = LoopShift(now_ns=lambda: START_NS + 1000 * NS_PER_DAY)
    times = [shift.shift(tick, loop).ts_event_ns for loop in range(500) for tick in RECORDING]
    assert times == sorted(set(times))
