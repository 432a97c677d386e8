"""A run that starts at ``rebuild_from`` writes the candles that the whole run would have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.stages.candle_builder import CandleBuilder
from flows.stages.candles import candle_ticks
from schemas.features import MAX_SYMBOLS
from tests.support.hostile import long_log, short_logs
from tests.support.ticks import cut

SYMBOLS = 8
BATCH = 7


class Run:
    """One start of the flow over a log, from an offset on."""

    def __init__(self, log, log_ms, max_symbols) -> None:
        self._log, self._log_ms = log, log_ms
        self._features = FeatureState(max_symbols=max_symbols)
        self._builder = CandleBuilder(0, max_symbols)
        self._symbols = SymbolTable()
        for number in range(SYMBOLS):
            self._symbols.intern("venue", f"S{number}")

    def read(self, start, stop):
        """Return the candles that these ticks close, and ``rebuild_from`` afterwards."""
        part = cut(self._log, start, stop)
        raw = RawBatch(
            partition=0,
            values=[b""] * (stop - start),
            offsets=part.offset.tolist(),
            timestamps_ms=self._log_ms[start:stop],
            next_offset=stop,
        )
        depends_on = min(self._features.rebuild_from, start)
        rows = self._features.update(part)
        ticks = candle_ticks(raw, part, rows, self._symbols)
        closed = self._builder.update(ticks, depends_on)
        return closed, min(rows.rebuild_from, self._builder.rebuild_from, stop)


def assert_rebuilds(log, log_ms, committed, max_symbols=MAX_SYMBOLS):
    whole = Run(log, log_ms, max_symbols)
    rebuild_from = 0
    for start in range(0, committed, BATCH):
        _, rebuild_from = whole.read(start, min(start + BATCH, committed))
    expected, _ = whole.read(committed, len(log))
    rebuilt = Run(log, log_ms, max_symbols)
    rebuilt.read(rebuild_from, committed)
    found, _ = rebuilt.read(committed, len(log))
    assert found == expected


def clock(steps_ms):
    return np.cumsum(steps_ms).tolist()


@settings(max_examples=200)
@given(
    log=short_logs(max_symbols=5),
    max_symbols=st.sampled_from([1, 2, 4, MAX_SYMBOLS]),
    data=st.data(),
)
def test_short_hostile_logs_rebuild(log, max_symbols, data):
    steps = st.sampled_from([0, 5, 1_000, 61_000, 66_000, 700_000])
    log_ms = clock([data.draw(steps) for _ in range(len(log))])
    assert_rebuilds(log, log_ms, data.draw(st.integers(1, len(log))), max_symbols)


@pytest.mark.parametrize("trouble", [0.0, 0.05, 0.3])
def test_long_hostile_logs_rebuild(trouble):
    for seed in range(8):
        log = long_log(seed, 600, 1 + seed, trouble, 0.7)
        rng = np.random.default_rng(seed)
        log_ms = clock(rng.choice([1, 200, 1_000, 20_000, 66_000], len(log)))
        for committed in rng.integers(1, len(log), 15).tolist():
            assert_rebuilds(log, log_ms, committed)
