"""A state rebuilt from ``rebuild_from`` is the old one bit for bit, on logs that hit every rule."""

from itertools import islice

import msgspec
import numpy as np
import pytest

from flows.codec.batch import RawBatch, TickBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.proof.inputs import messages
from tests.support.forms import COMPILED_ONLY
from tests.support.kafka.tools import Outgoing


def assert_rebuilt_equal(log: list[Outgoing], cuts: list[int], reach: int) -> None:
    """Hold runs that start at each cut's ``rebuild_from`` against one from the beginning."""
    table = SymbolTable()
    running = FeatureState()
    done = 0
    for cut in cuts:
        rows = running.update(_with_table(log, done, cut, table))
        done = cut
        rebuilt = FeatureState()
        again = SymbolTable()
        start = table.gap_marks.rebuild_from(rows.rebuild_from, cut)
        rebuilt.update(_with_table(log, start, cut, again))
        stop = min(cut + reach, len(log))
        after = rebuilt.update(_with_table(log, cut, stop, again))
        ahead = FeatureState()
        whole = SymbolTable()
        ahead.update(_with_table(log, 0, cut, whole))
        before = ahead.update(_with_table(log, cut, stop, whole))
        assert np.array_equal(after.flags, before.flags)
        assert after.values64.tobytes() == before.values64.tobytes(), f"cut {cut} from {start}"


def _with_table(log: list[Outgoing], start: int, stop: int, table: SymbolTable) -> TickBatch:
    raw = RawBatch(
        partition=0,
        values=[each.value for each in log[start:stop]],
        offsets=list(range(start, stop)),
        timestamps_ms=[each.timestamp_ms for each in log[start:stop]],
        next_offset=stop,
    )
    return decode(raw, table, "ticks.raw", frozenset())[0]


@COMPILED_ONLY
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rebuilt_state_is_the_same_bit_for_bit(seed: int) -> None:
    log = list(islice(messages(seed, 1), 30_000))
    assert_rebuilt_equal(log, list(range(2_000, 30_000, 5_600)), reach=2_000)


@COMPILED_ONLY
def test_rebuild_keeps_the_return_before_a_long_silence() -> None:
    """Roll's estimate multiplies a tick's return with that of the tick before it.

    A tick nearly a memory older than the window still gives the first factor; a run that began
    with that very tick would not know it.
    """
    random_ = np.random.default_rng(1)
    prices = 100.0 * np.exp(np.cumsum(random_.normal(0.0, 2e-4, 400)))
    seconds = [0.0, 1.0, 2.0, 3.0, *(3593.0 + 0.7 * k for k in range(396))]
    log = []
    for trade_id, (at_s, price) in enumerate(zip(seconds, prices.tolist(), strict=True)):
        tick = Tick(
            symbol="A",
            venue="v",
            ts_event_ns=1_750_000_030 * NS_PER_S + round(at_s * NS_PER_S),
            price=price,
            trade_id=trade_id,
        )
        log.append(Outgoing(0, b"A", msgspec.json.encode(tick), -1))
    assert_rebuilt_equal(log, list(range(5, 300)), reach=100)
