"""The stage of candles, batch by batch."""

import msgspec
import pytest

from flows.codec.batch import RawBatch
from flows.features import feature_kernel
from flows.features.kernel import Fold
from flows.monitoring.candle_metrics import CandleMetrics
from flows.numeric.background import BackgroundKernel
from flows.numeric.compiled import Kernel
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


class NeverCompiled(BackgroundKernel[Fold]):
    """A kernel that is still being compiled; notes the rows of rebuilds."""

    def __init__(self) -> None:
        self.rebuilt: list[int] = []

    def current(self) -> Fold:
        return feature_kernel().uncompiled

    def rebuild(self, rows: int) -> None:
        self.rebuilt.append(rows)


def written(stage: CandleStage) -> list[bytes]:
    """Return the candles of some minutes, which there are."""
    outputs = [stage(batch(first, 90))[1] for first in (0, 90)]
    values = [value for each in outputs for records in each.records for value in records.values]
    assert values
    return values


def test_no_batch_waits_for_the_compiler(
    stage: CandleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written(stage)

    def compile_now(_kernel: object) -> Fold:
        pytest.fail("a batch waits for the compiler, and with it what stops the flow")

    monkeypatch.setattr(Kernel, "compile", compile_now)
    early = CandleStage(frozenset(), CandleMetrics(), NeverCompiled())
    assert written(early) == expected


def test_a_rebuild_of_many_rows_may_wait_for_the_compiler() -> None:
    kernel = NeverCompiled()
    stage = CandleStage(frozenset(), CandleMetrics(), kernel)
    stage(batch(0, 5, emit=False))
    stage(batch(5, 5))
    assert kernel.rebuilt == [5]
