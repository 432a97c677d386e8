"""An archive and the topic it was written from are one log, without a doubled tick."""

import numpy as np

from flows.codec.batch import TickBatch
from flows.codec.symbols import SymbolTable
from training.data.merging import once_each
from training.data.ticklog import TickLog

NS = 10**9
PAIRS = (("x", "A"), ("x", "B"))


def log(first: int, end: int, *, partition: int = 0, pairs=PAIRS, shift: float = 0.0, **more):
    """Ticks first..end of a market whose symbol, time and price follow from the offset."""
    offset = np.arange(first, end, dtype=np.int64)
    symbols = SymbolTable()
    numbers = np.array([symbols.intern(*pair) for pair in pairs], np.int32)
    order = np.array([list(pairs).index(pair) for pair in PAIRS])
    unknown = np.full(len(offset), np.nan)
    batch = TickBatch(
        partition=partition,
        offset=offset,
        symbol_id=numbers[order[offset % 2]],
        ts_event_ns=offset * NS,
        price=100.0 + offset + shift,
        size=unknown,
        side=np.zeros(len(offset), np.int8),
        bid=unknown,
        ask=unknown,
        bid_size=unknown,
        ask_size=unknown,
        trade_id=np.full(len(offset), -1, np.int64),
        gap=np.zeros(len(offset), np.bool_),
        ticks=[],
    )
    return TickLog("log", batch, symbols, **{"provenance": "recorded", **more})


def test_an_archive_and_its_topic_are_one_log() -> None:
    (whole,) = once_each([log(0, 60), log(40, 100, pairs=PAIRS[::-1], provenance="live")])
    wanted = log(0, 100)
    np.testing.assert_array_equal(whole.batch.offset, wanted.batch.offset)
    np.testing.assert_array_equal(whole.batch.price, wanted.batch.price)
    named = [whole.names[number] for number in whole.batch.symbol_id]
    assert named == [wanted.names[number] for number in wanted.batch.symbol_id]
    assert whole.provenance == "live"


def test_made_up_ticks_stay_made_up() -> None:
    (whole,) = once_each([log(0, 60, provenance="simulated"), log(40, 100, provenance="live")])
    assert whole.provenance == "simulated"


def test_logs_of_other_ticks_or_partitions_stay_apart() -> None:
    for other in (log(40, 100, shift=1.0), log(40, 100, partition=1), log(60, 100)):
        assert [len(each) for each in once_each([log(0, 60), other])] == [60, len(other)]
