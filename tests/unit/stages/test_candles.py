"""The stage of candles, batch by batch."""

import msgspec
import pytest

from flows.codec.batch import RawBatch
from flows.monitoring.candle_metrics import CandleMetrics
from flows.numeric.time import NS_PER_S
from flows.stages.candles import CandleStage
from schemas.ticks import Tick

START_S = 1_700_000_000


def batch(first: int, count: int, **changes) -> RawBatch:
    numbers = range(first, first + count)
    values = [
        msgspec.json.encode(
            Tick(
                symbol="BTC-USD",
                venue="test",
                ts_event_ns=(START_S + number) * NS_PER_S,
                price=100.0,
                trade_id=number,
            )
        )
        for number in numbers
    ]
    times = [(START_S + number) * 1000 for number in numbers]
    return RawBatch(0, values, list(numbers), times, first + count, **changes)


@pytest.fixture
def stage() -> CandleStage:
    return CandleStage(frozenset(), CandleMetrics())


@pytest.mark.parametrize("last", [False, True], ids=["idle", "ownership ends"])
def test_a_batch_without_messages_writes_nothing_and_changes_nothing(
    stage: CandleStage, last: bool
) -> None:
    _key, before = stage(batch(0, 5))
    _key, idle = stage(batch(5, 0, last=last))
    assert (idle.next_offset, idle.records) == (5, [])
    assert idle.rebuild_from == before.rebuild_from == 0


def test_a_partition_may_begin_with_a_batch_without_messages(stage: CandleStage) -> None:
    _key, idle = stage(batch(7, 0))
    assert (idle.next_offset, idle.rebuild_from) == (7, 7)
    _key, after = stage(batch(7, 90))
    assert len(after.records) == 1
    assert after.rebuild_from >= 7
