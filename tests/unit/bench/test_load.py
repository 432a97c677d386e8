"""The load is what it says: so many ticks, at the event rate that fills the windows."""

import msgspec
import pytest

from schemas.ticks import Tick
from tests.bench.load import RATE_HZ, START_NS, simulated_messages

COUNT = 50_000


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    decode = msgspec.json.Decoder(Tick).decode
    return [decode(each["value"]) for batch in simulated_messages(COUNT, 4) for each in batch]


def test_as_many_ticks_as_asked_for_and_none_twice(ticks: list[Tick]) -> None:
    assert len({(tick.symbol, tick.trade_id) for tick in ticks}) == len(ticks) == COUNT


def test_event_time_goes_by_at_about_the_rate_from_a_full_hour_on(ticks: list[Tick]) -> None:
    seconds = (ticks[-1].ts_event_ns - START_NS) / 1e9
    # A market is livelier at some times than at others.
    assert 0.5 * RATE_HZ < COUNT / seconds < 1.5 * RATE_HZ
    assert START_NS % 3_600_000_000_000 == 0
