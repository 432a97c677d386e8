"""A state rebuilt from ``rebuild_from``, or from before it, is the old one bit for bit."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import RESTART
from flows.features import NOTHING_HELD, FeatureState
from flows.numeric.time import NS_PER_S
from schemas.features import MAX_SYMBOLS
from tests.support.feature_checks import assert_same_bits
from tests.support.forms import COMPILED_ONLY
from tests.support.hostile import HOUR, SPARSE_STEPS_NS, long_log, short_logs
from tests.support.ticks import START_NS, T, batch_of, cut, random_log


def anchors(log, max_symbols=MAX_SYMBOLS):
    """Return all rows and ``rebuild_from`` after every tick."""
    state = FeatureState(max_symbols=max_symbols)
    rows = state.update(log)
    again = FeatureState(max_symbols=max_symbols)
    return rows, [again.update(cut(log, i, i + 1)).rebuild_from for i in range(len(log))]


def assert_rebuilds(log, rows, start, committed, max_symbols=MAX_SYMBOLS):
    """Start anew at ``start``; from ``committed`` on all rows must be those of the whole run."""
    if committed >= len(log):
        return
    rebuilt = FeatureState(max_symbols=max_symbols).update(cut(log, start, len(log)))
    assert_same_bits(rebuilt, rows, committed - start, committed)


@settings(max_examples=300)
@given(log=short_logs(), data=st.data())
def test_any_start_at_or_before_rebuild_from_gives_the_same_rows(log, data):
    rows, rebuild = anchors(log)
    committed = data.draw(st.integers(1, len(log)))
    latest = min(rebuild[committed - 1], committed)
    start = data.draw(st.integers(0, latest))
    assert_rebuilds(log, rows, start, committed)
    assert_rebuilds(log, rows, latest, committed)


@settings(max_examples=100)
@given(
    log=short_logs(min_ticks=40, max_ticks=90, max_symbols=4, steps_ns=SPARSE_STEPS_NS),
    data=st.data(),
)
def test_a_log_in_which_symbols_are_forgotten_rebuilds(log, data):
    rows, rebuild = anchors(log)
    committed = data.draw(st.integers(1, len(log)))
    latest = min(rebuild[committed - 1], committed)
    assert_rebuilds(log, rows, data.draw(st.integers(0, latest)), committed)
    assert_rebuilds(log, rows, latest, committed)


@settings(max_examples=300)
@given(log=short_logs(min_ticks=10, max_symbols=6), max_symbols=st.integers(1, 4), data=st.data())
def test_a_log_of_more_symbols_than_are_remembered_rebuilds(log, max_symbols, data):
    rows, rebuild = anchors(log, max_symbols)
    committed = data.draw(st.integers(1, len(log)))
    latest = min(rebuild[committed - 1], committed)
    assert_rebuilds(log, rows, data.draw(st.integers(0, latest)), committed, max_symbols)
    assert_rebuilds(log, rows, latest, committed, max_symbols)


@COMPILED_ONLY
@pytest.mark.parametrize("trouble", [0.0, 0.1])
def test_long_logs_of_more_symbols_than_are_remembered_rebuild(trouble):
    for seed in range(4):
        log = long_log(seed, 900, 30, trouble, 0.7)
        rows, rebuild = anchors(log, 12)
        rng = np.random.default_rng(seed)
        for committed in rng.integers(1, len(log), 25).tolist():
            latest = min(rebuild[committed - 1], committed)
            assert_rebuilds(log, rows, latest, committed, 12)
            assert_rebuilds(log, rows, int(rng.integers(0, latest + 1)), committed, 12)


def test_symbols_without_end_hold_neither_memory_nor_the_rebuild():
    state, held = FeatureState(max_symbols=50), []
    for start in range(0, 6000, 100):
        strangers = [T(START_NS + k * NS_PER_S, symbol=k % 200) for k in range(start, start + 100)]
        rows = state.update(batch_of(strangers, range(start, start + 100)))
        assert rows.rebuild_from == start + 50
        held.append(state.nbytes)
    assert held[-1] == held[5]
    assert state.crowded_out == 6000 - 50


@COMPILED_ONLY
@pytest.mark.parametrize("trouble", [0.02, 0.2, 0.6])
@pytest.mark.parametrize("ids", [0.0, 0.5, 1.0])
def test_long_hostile_logs_rebuild(trouble, ids):
    for seed in range(4):
        log = long_log(seed, 600, 1 + seed, trouble, ids)
        rows, rebuild = anchors(log)
        rng = np.random.default_rng(seed)
        for committed in rng.integers(1, len(log), 25):
            latest = min(rebuild[committed - 1], committed)
            assert_rebuilds(log, rows, latest, int(committed))
            assert_rebuilds(log, rows, int(rng.integers(0, latest + 1)), int(committed))


@settings(max_examples=60)
@given(log=short_logs(), data=st.data())
def test_a_rebuilt_run_can_be_rebuilt_again_from_its_own_offset(log, data):
    rows = FeatureState().update(log)
    start, committed = 0, 0
    while committed < len(log):
        ahead = data.draw(st.integers(committed + 1, len(log)))
        run = FeatureState()
        got = run.update(cut(log, start, ahead))
        assert_same_bits(got, rows, committed - start, committed, ahead - committed)
        start, committed = min(got.rebuild_from, ahead), ahead


def test_a_random_log_rebuilds_wherever_it_is_cut():
    log = random_log(5, 6000, symbols=4, mean_gap_s=2.0, nulls=0.1, late=0.02, repeats=0.02)
    rows, rebuild = anchors(log)
    for committed in range(100, 6000, 613):
        assert_rebuilds(log, rows, min(rebuild[committed - 1], committed), committed)


@COMPILED_ONLY
@pytest.mark.parametrize("trade_ids", [True, False])
def test_rebuild_from_follows_a_sane_log_at_about_an_hour(trade_ids):
    log = random_log(1, 20_000, symbols=3, mean_gap_s=1.0, trade_ids=trade_ids, late=0.01)
    _, rebuild = anchors(log)
    t = log.ts_event_ns
    for i in range(8000, 20_000, 500):
        assert t[i] - t[rebuild[i]] < 1.1 * HOUR
    assert all(a <= b for a, b in itertools.pairwise(rebuild))


@COMPILED_ONLY
def test_rebuild_from_recovers_from_an_id_far_ahead():
    ticks = [T(START_NS + i * NS_PER_S, trade_id=100 + i) for i in range(6 * 3600)]
    ticks[1000].trade_id = 10**9
    _, rebuild = anchors(batch_of(ticks))
    assert rebuild[-1] > 6 * 3600 - 2 * 3600


def test_a_delisted_symbol_holds_the_rebuild_for_a_day_only():
    ticks = [T(START_NS, symbol=1)]
    ticks += [T(START_NS + i * 60 * NS_PER_S, symbol=0) for i in range(26 * 60)]
    _, rebuild = anchors(batch_of(ticks))
    assert rebuild[23 * 60] == 0
    assert rebuild[-1] > 24 * 60


def test_a_clock_years_ahead_holds_no_rebuild():
    """The wrong tick's symbol is forgotten like any other; the rest goes on as before."""
    ticks = [T(START_NS + i * 60 * NS_PER_S, symbol=i % 2) for i in range(27 * 60)]
    ticks.insert(30, T(START_NS + 3 * 365 * 24 * HOUR, symbol=2))
    rows, rebuild = anchors(batch_of(ticks))
    assert (rows.flags[3:] & RESTART == 0).sum() == len(ticks) - 4
    assert rebuild[-1] > 25 * 60


def test_nothing_is_held_before_the_first_tick():
    state = FeatureState()
    assert state.rebuild_from == NOTHING_HELD
    assert state.update(cut(batch_of([T(START_NS)]), 0, 0)).rebuild_from == NOTHING_HELD
