"""What the kernel does with one tick, and then another."""

import math

import numpy as np
import pytest

from flows.codec.batch import DUPLICATE, GAP, LATE, NO_TRADE_ID, RESTART, WARM
from flows.features import FeatureState
from flows.numeric.time import NS_PER_S
from schemas.features import FEATURES, INDEX, NAMES
from tests.support.forms import COMPILED_ONLY
from tests.support.ticks import COLUMNS, START_NS, T, TickBatch, batch_of, cut, random_log

HOUR = 3600 * NS_PER_S


def rows_of(*ticks):
    """Return the rows of ticks at times relative to the start."""
    for tick in ticks:
        tick.ts += START_NS
    return FeatureState().update(batch_of(ticks))


def value(rows, name, at=-1):
    return rows.values64[at, INDEX[name]]


def flags(rows):
    return rows.flags.tolist()


def test_one_row_for_each_tick_in_the_order_of_the_contract():
    rows = rows_of(T(0), T(NS_PER_S))
    assert rows.values64.shape == (2, len(FEATURES))
    assert rows.values64.dtype == np.float64
    assert rows.values.dtype == np.float32


def test_the_first_tick_begins_a_memory():
    rows = rows_of(T(0, 100.0))
    assert flags(rows) == [RESTART]
    assert value(rows, "history_s") == 0.0
    assert value(rows, "tick_count_60") == 1.0
    assert value(rows, "range_bps_60") == 0.0
    for name in ("log_return_1", "realized_vol_5", "grid_vol_3600", "vol_ratio_5_3600", "spread"):
        assert math.isnan(value(rows, name))


def test_returns_are_of_the_mid_and_not_of_the_trade():
    rows = rows_of(T(0, 99.0, bid=99.0, ask=101.0), T(NS_PER_S, 102.0, bid=101.0, ask=103.0))
    assert rows.mid.tolist() == [100.0, 102.0]
    assert value(rows, "log_return_5") == pytest.approx(math.log(1.02), rel=1e-14)
    assert value(rows, "spread_bps") == pytest.approx(2e4 / 102, rel=1e-14)


def test_a_tick_without_a_quote_has_its_price_for_mid():
    rows = rows_of(T(0, 99.0, bid=99.0, ask=101.0), T(NS_PER_S, 102.0, bid=101.0))
    assert rows.mid.tolist() == [100.0, 102.0]
    assert math.isnan(value(rows, "spread"))


def test_a_window_ends_exactly_its_length_ago():
    rows = rows_of(T(0), T(1), T(5 * NS_PER_S), T(5 * NS_PER_S + 1))
    assert [value(rows, "trade_intensity_5", i) for i in (2, 3)] == [2 / 5, 2 / 5]
    assert value(rows, "tick_count_1") == 2


def test_a_late_tick_takes_the_newest_time():
    rows = rows_of(T(0), T(10 * NS_PER_S), T(4 * NS_PER_S))
    assert flags(rows)[2] == LATE
    assert rows.ts_effective_ns[2] == START_NS + 10 * NS_PER_S
    assert value(rows, "tick_count_1") == 2


@pytest.mark.parametrize(
    ("step_ns", "restarts"),
    [(HOUR, False), (HOUR + 1, True), (-60 * NS_PER_S, False), (-60 * NS_PER_S - 1, True)],
)
def test_a_jump_past_a_limit_starts_anew(step_ns, restarts):
    state = FeatureState()
    rows = state.update(batch_of([T(START_NS), T(START_NS + step_ns)]))
    assert bool(rows.flags[1] & RESTART) == restarts
    assert state.restarts == restarts
    assert math.isnan(value(rows, "log_return_300")) == restarts
    if restarts:
        assert rows.ts_effective_ns[1] == START_NS + step_ns


def test_a_duplicate_changes_nothing():
    ticks = [T(START_NS, 100.0, trade_id=5), T(START_NS + NS_PER_S, 200.0, trade_id=5)]
    state = FeatureState()
    rows = state.update(batch_of([*ticks, T(START_NS + NS_PER_S, 101.0, trade_id=6)]))
    assert flags(rows)[1] == DUPLICATE
    assert np.isnan(rows.values64[1]).all()
    assert np.isnan(rows.mid[1])
    assert state.duplicates == 1
    assert value(rows, "log_return_5") == pytest.approx(math.log(1.01), rel=1e-12)


def test_an_id_older_than_the_memory_makes_no_duplicate():
    """A venue that starts its ids over is heard again after an hour."""
    ticks = [T(0, trade_id=10**6), *(T(i * 60 * NS_PER_S, trade_id=i) for i in range(1, 63))]
    rows = rows_of(*ticks)
    assert (rows.flags[1:61] == DUPLICATE).all()
    assert (rows.flags[61:] & DUPLICATE == 0).all()


def test_a_restart_forgets_the_newest_id():
    rows = rows_of(T(0, trade_id=9), T(2 * HOUR, trade_id=3))
    assert flags(rows)[1] == RESTART


def test_gap_age_starts_at_zero_and_ends_at_an_hour():
    ticks = [T(0), T(10 * NS_PER_S, gap=True), T(40 * NS_PER_S), T(HOUR), T(HOUR + 20 * NS_PER_S)]
    rows = rows_of(*ticks)
    assert rows.values64[:, INDEX["gap_age_s"]].tolist() == [3600.0, 0.0, 30.0, 3590.0, 3600.0]
    assert [bool(f & GAP) for f in flags(rows)] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("ids", "gap"),
    [
        ((7, 8), False),
        ((7, 9), True),
        ((7, None), True),
        ((None, 8), True),
        ((7, None, 8), False),
        ((7, None, 9), True),
        ((None, None), True),
    ],
    ids=str,
)
def test_a_gap_mark_on_an_id_that_follows_the_newest_is_no_gap(ids, gap):
    """Two ingests side by side, of which one reconnects, lose nothing."""
    ticks = [
        T(START_NS + i * NS_PER_S, trade_id=NO_TRADE_ID if k is None else k)
        for i, k in enumerate(ids)
    ]
    ticks[-1].gap = True
    state = FeatureState()
    rows = state.update(batch_of(ticks))
    assert bool(rows.flags[-1] & GAP) == gap
    assert state.gaps == gap
    assert value(rows, "gap_age_s") == (0.0 if gap else 3600.0)


def test_a_duplicate_with_a_gap_mark_is_no_gap():
    """The connection that reconnected gives every trade from the duplicate on."""
    rows = rows_of(T(0, trade_id=7), T(NS_PER_S, trade_id=7, gap=True), T(2 * NS_PER_S, trade_id=8))
    assert flags(rows) == [RESTART, DUPLICATE, 0]
    assert value(rows, "gap_age_s") == 3600.0


def test_a_gap_mark_counts_where_the_newest_id_is_older_than_the_memory():
    ticks = [T(0, trade_id=7), *(T(i * 60 * NS_PER_S) for i in range(1, 61))]
    assert flags(rows_of(*ticks, T(HOUR, trade_id=8, gap=True)))[-1] & GAP == 0
    ticks = [T(0, trade_id=7), *(T(i * 60 * NS_PER_S) for i in range(1, 61))]
    assert flags(rows_of(*ticks, T(HOUR + 1, trade_id=8, gap=True)))[-1] & GAP == GAP


@pytest.mark.parametrize("step_ns", [2 * HOUR, -2 * HOUR])
def test_a_gap_mark_on_a_restart_counts(step_ns):
    """A restart forgets the newest id, so none follows it."""
    rows = rows_of(T(0, trade_id=7), T(step_ns, trade_id=8, gap=True))
    assert flags(rows)[1] == RESTART | GAP


def test_warm_from_five_minutes_of_history():
    rows = rows_of(T(0), T(300 * NS_PER_S - 1), T(300 * NS_PER_S))
    assert [bool(f & WARM) for f in flags(rows)] == [False, False, True]
    assert value(rows, "history_s") == 300.0


def test_history_ends_at_an_hour():
    rows = rows_of(T(0), T(HOUR), T(HOUR + 100 * NS_PER_S))
    assert rows.values64[:, INDEX["history_s"]].tolist() == [0.0, 3600.0, 3600.0]


def test_a_symbol_silent_for_a_day_is_forgotten():
    minutes = [T(START_NS + i * 60 * NS_PER_S, symbol=1) for i in range(24 * 60 + 3)]
    state = FeatureState()
    rows = state.update(batch_of([T(START_NS), *minutes, T(START_NS + 30 * NS_PER_S)]))
    # Not late by a day: as if it had never been seen.
    assert flags(rows)[-1] == RESTART
    assert rows.ts_effective_ns[-1] == START_NS + 30 * NS_PER_S
    assert state.restarts == 0


def test_a_clock_far_ahead_restarts_no_other_symbol():
    """One tick of a symbol, or many, hours or years ahead, makes no time pass for the others."""
    for ahead_ns in (26 * HOUR, 3 * 365 * 24 * HOUR):
        ticks = []
        for i in range(400):
            ticks += [T(START_NS + i * NS_PER_S, symbol=s) for s in range(3)]
            if i % 7 == 0:
                ticks.append(T(START_NS + ahead_ns + i * NS_PER_S, symbol=3))
        rows = FeatureState().update(batch_of(ticks))
        assert np.count_nonzero(rows.flags & RESTART) == 4
        assert rows.flags[-1] == WARM


def test_steps_over_an_hour_do_not_add_up_to_a_day_of_silence():
    """Between such ticks of another symbol nothing tells how much time really passed."""
    others = [T(START_NS + i * 2 * HOUR, symbol=1) for i in range(1, 40)]
    rows = FeatureState().update(batch_of([T(START_NS), *others, T(START_NS + NS_PER_S)]))
    assert flags(rows)[-1] == 0


@pytest.mark.parametrize(("minutes", "forgotten"), [(60, False), (61, True)])
def test_after_an_outage_of_days_the_silent_are_forgotten_within_an_hour(minutes, forgotten):
    resumed = START_NS + 72 * HOUR
    others = [T(resumed + i * 60 * NS_PER_S, symbol=1) for i in range(minutes + 1)]
    state = FeatureState()
    state.update(batch_of([T(START_NS), *others]))
    assert state.rebuild_from == (1 if forgotten else 0)


def test_what_no_size_or_side_leaves_undefined():
    rows = rows_of(T(0), T(NS_PER_S))
    names = {
        "notional_60", "signed_notional_60", "volume_imbalance_60", "volume_imbalance_300",
        "vwap_dev_bps_60", "amihud_300", "notional_ratio_60_3600", "ofi_60", "ofi_share_5",
        "ofi_share_60", "imbalance", "imbalance_mean_5", "imbalance_mean_60", "spread",
        "spread_bps", "spread_bps_mean_60", "spread_ratio_3600", "microprice_dev_bps",
    }  # fmt: skip
    undefined = {name for name in NAMES if math.isnan(value(rows, name))}
    assert names <= undefined
    assert undefined - names == {
        "tick_return_std_60", "roll_spread_bps_300", "bipower_vol_300", "jump_share_300",
        "vol_ratio_5_3600", "vol_ratio_60_3600", "vol_ratio_300_3600", "vol_ratio_900_3600",
    }  # fmt: skip


def test_order_flow_by_hand():
    book = {"bid": 99.0, "ask": 101.0, "bid_size": 2.0, "ask_size": 3.0}
    up = {"bid": 99.5, "ask": 101.0, "bid_size": 1.0, "ask_size": 5.0}
    rows = rows_of(T(0, **book), T(NS_PER_S, **up))
    # The bid rose: its whole size came; the ask stood and grew by 2.
    assert value(rows, "ofi_60") == 1.0 - 2.0
    assert value(rows, "ofi_share_60") == -1.0
    assert value(rows, "imbalance") == pytest.approx(-4 / 6)


def test_all_ticks_at_one_time_and_price_give_no_rounding_dirt():
    rows = rows_of(*(T(0, 0.1, size=0.3, side=1, bid=0.1, ask=0.1) for _ in range(50)))
    for name in ("log_return_300", "realized_vol_300", "tick_return_std_60", "range_bps_300"):
        assert value(rows, name) == 0.0
    assert value(rows, "volume_imbalance_60") == 1.0
    assert math.isnan(value(rows, "vol_ratio_60_3600"))


def test_volatility_is_exactly_zero_once_the_moves_have_left():
    moves = [T(i * NS_PER_S, 100.0 + i % 7) for i in range(40)]
    rows = rows_of(*moves, *(T((40 + i) * NS_PER_S, 104.0) for i in range(1, 310)))
    assert value(rows, "realized_vol_300") == 0.0
    assert value(rows, "log_return_300") == 0.0
    assert value(rows, "grid_vol_900") > 0.0


def test_read_only_and_strided_columns_are_taken_too():
    log = random_log(1, 200)
    columns = {}
    for name in COLUMNS:
        wide = np.repeat(getattr(log, name), 2)[::2]
        wide.flags.writeable = False
        columns[name] = wide
    rows = FeatureState().update(TickBatch(partition=0, ticks=[], **columns))
    assert rows.values64.tobytes() == FeatureState().update(log).values64.tobytes()


def test_an_empty_batch_has_no_rows():
    state = FeatureState()
    state.update(random_log(1, 10))
    before = state.rebuild_from
    rows = state.update(cut(random_log(1, 10), 0, 0))
    assert rows.values64.shape == (0, len(FEATURES))
    assert rows.rebuild_from == before


def test_float32_values_are_finite_where_defined():
    rows = rows_of(T(0, 1e200, size=1e200), T(NS_PER_S, 1e200, size=1e200))
    values = rows.values
    assert np.isfinite(values[~np.isnan(rows.values64)]).all()


@COMPILED_ONLY
def test_regions_that_grew_leave_little_behind():
    state, log = FeatureState(), random_log(1, 150_000, symbols=60, mean_gap_s=0.001)
    for start in range(0, len(log), 1_000):
        state.update(cut(log, start, start + 1_000))
    for buffers in state._buffers:
        assert buffers._top < 1.6 * (buffers._top - buffers._free_rows)


@COMPILED_ONLY
def test_memory_is_bounded_and_given_back():
    state = FeatureState()
    state.update(random_log(1, 300_000, symbols=20, mean_gap_s=0.0005))
    busy = state.nbytes
    quiet = random_log(2, 40_000, symbols=20, mean_gap_s=3.0, trade_ids=False)
    quiet.ts_event_ns[:] += 300 * NS_PER_S
    for repeat in range(8):
        quiet.ts_event_ns[:] += (repeat > 0) * 40_000 * 3 * NS_PER_S
        state.update(quiet)
    assert state.nbytes < busy
    assert state.nbytes < 40e6


def test_thousands_of_symbols():
    log = random_log(1, 10_000, symbols=5000, mean_gap_s=0.01, trade_ids=False)
    rows = FeatureState().update(log)
    alone = log.symbol_id == log.symbol_id[0]
    mine = TickBatch(partition=0, ticks=[], **{n: getattr(log, n)[alone] for n in COLUMNS})
    assert rows.values64[alone].tobytes() == FeatureState().update(mine).values64.tobytes()
