"""The kernel against an oracle that recomputes every row from all earlier ticks."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from flows.feeds.replay import ReplayFeed
from schemas.features import MAX_SYMBOLS
from tests.oracle.features import Oracle
from tests.support.captures import capture
from tests.support.feature_checks import assert_close
from tests.support.forms import COMPILED_ONLY
from tests.support.hostile import SPARSE_STEPS_NS, long_log, short_logs
from tests.support.ticks import cut, random_log


def assert_agree(log, max_symbols=MAX_SYMBOLS):
    """Hold rows, flags, mids, times and counters of the kernel against the oracle's."""
    oracle, state = Oracle(max_symbols), FeatureState(max_symbols=max_symbols)
    values, flags, mids, times = oracle.update(log)
    rows = state.update(log)
    assert rows.flags.tolist() == flags.tolist()
    assert rows.ts_effective_ns.tolist() == times.tolist()
    assert np.array_equal(rows.mid, mids, equal_nan=True)
    counters = {name: getattr(state, name) for name in oracle.counters}
    assert counters == {name: int(count) for name, count in oracle.counters.items()}
    assert_close(rows.values64, values)


@settings(max_examples=150)
@given(log=short_logs(max_symbols=4))
def test_hostile_streams(log):
    assert_agree(log)


@settings(max_examples=60)
@given(log=short_logs(min_ticks=40, max_ticks=90, max_symbols=4, steps_ns=SPARSE_STEPS_NS))
def test_streams_in_which_symbols_are_forgotten(log):
    assert_agree(log)


@settings(max_examples=100)
@given(log=short_logs(max_symbols=6), max_symbols=st.integers(1, 4))
def test_streams_of_more_symbols_than_are_remembered(log, max_symbols):
    assert_agree(log, max_symbols)


@pytest.mark.parametrize("seed", range(4))
def test_longer_hostile_streams(seed):
    assert_agree(long_log(seed, 250, 2, 0.1 + 0.1 * seed, ids=0.8))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    symbols=st.integers(1, 50),
    mean_gap_s=st.sampled_from([1e-4, 0.01, 0.3, 3.0, 30.0, 200.0]),
    nulls=st.sampled_from([0.0, 0.1, 0.9]),
    late=st.sampled_from([0.0, 0.2]),
    repeats=st.sampled_from([0.0, 0.2]),
)
def test_plausible_streams(seed, symbols, mean_gap_s, nulls, late, repeats):
    n = 100 if symbols == 1 else 200
    assert_agree(random_log(seed, n, symbols, mean_gap_s, nulls, True, late, repeats, 0.02))


def test_bursts_at_one_instant():
    log = random_log(9, 200, mean_gap_s=0.05)
    log.ts_event_ns[:] = log.ts_event_ns // (2 * 10**9) * (2 * 10**9)
    assert_agree(log)


@pytest.mark.parametrize(("mean_gap_s", "n"), [(1.5, 4000), (5.0, 2000), (40.0, 600)])
def test_windows_of_an_hour_fill_and_empty(mean_gap_s, n):
    """Sampled, since the oracle reads an hour of ticks for every row that it makes."""
    log = random_log(2, n, 1, mean_gap_s, nulls=0.05)
    rows = FeatureState().update(log)
    for i in range(n // 20, n, n // 20):
        # Nothing older than the memory counts, so the oracle may start a little before it.
        first = int(np.searchsorted(log.ts_event_ns, log.ts_event_ns[i] - 3900 * 10**9))
        values = Oracle().update(cut(log, first, i + 1), only_last=True)[0]
        assert_close(rows.values64[i : i + 1], values[-1:])


@COMPILED_ONLY
def test_millions_of_ticks_leave_no_drift():
    """A day and more of busy trading, then the same row as the oracle makes from an hour."""
    log = random_log(8, 200_000, 1, 0.05)
    # The last repeat ends with a quiet hour, so that the oracle has few ticks to read.
    quiet = random_log(9, 900, 1, 4.5)
    state = FeatureState()
    day = 10**9 * 10_000
    for repeat in range(10):
        log.ts_event_ns[:] += day * (repeat > 0)
        log.trade_id[:] += len(log) * (repeat > 0)
        log.offset[:] += len(log) * (repeat > 0)
        rows = state.update(log)
    quiet.ts_event_ns[:] += log.ts_event_ns[-1] - quiet.ts_event_ns[0]
    quiet.trade_id[:] += log.trade_id[-1]
    rows = state.update(quiet)
    assert state.restarts == 0
    values = Oracle().update(quiet, only_last=True)[0]
    assert_close(rows.values64[-1:], values[-1:])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("coinbase-exchange_btc_20251112_165s", 600),
        ("coinbase-exchange_10pairs_20210417_31s", 99),  # all that it holds
        ("coinbase-exchange_eth_20210701_48h", 700),
        ("coinbase-advanced_btc-eth_20260809_25s", 279),  # all that it holds
        ("binance_btcusdt_20240808_11min", 500),
    ],
)
def test_recorded_ticks(name, count):
    log = recorded(capture(name), count)
    assert len(log) == count
    assert_agree(log)


def recorded(path, count):
    """Return the first ticks of a recording, by the product's own parsers and checks."""
    feed = ReplayFeed(path)
    parser = feed.parser()
    ticks = []
    while len(ticks) < count and not feed.finished:
        for frame in feed.poll(200):
            ticks.extend(parser.parse(frame).ticks)
    feed.close()
    values = [msgspec.json.encode(tick) for tick in ticks[:count]]
    raw = RawBatch(0, values, list(range(len(values))), [-1] * len(values), len(values))
    batch, dead = decode(raw, SymbolTable(), "ticks.raw", frozenset())
    assert not dead
    return batch
