"""The labels' definition, by example and against the oracle."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import GAP, LATE, RESTART
from flows.features import FeatureState
from flows.numeric.time import NS_PER_S
from flows.targets import NOTHING_HELD, Realizer, label_columns, quantity, truth
from schemas.features import INDEX
from schemas.models import TargetSpec
from tests.oracle.targets import label
from tests.support.forms import COMPILED_ONLY
from tests.support.hostile import SPARSE_STEPS_NS, long_log, short_logs
from tests.support.ticks import START_NS, T, batch_of, random_log

RELATIVE = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
ABSOLUTE = TargetSpec(name="volatility_spike", kind="classification", definition="absolute")
RETURN = TargetSpec(name="forward_return", kind="regression", definition="return")
S0 = START_NS // NS_PER_S


def labels(rows, spec=ABSOLUTE, gaps=(), restarts=(), symbols=None):
    """Label rows of (seconds after the start, mid)."""
    n = len(rows)
    flags = np.zeros(n, np.uint8)
    flags[0] |= RESTART
    flags[list(gaps)] |= GAP
    flags[list(restarts)] |= RESTART
    return label_columns(
        np.array(symbols or [0] * n, np.int32),
        np.array([START_NS + round(s * NS_PER_S) for s, _ in rows], np.int64),
        np.array([mid for _, mid in rows], np.float64),
        flags,
        spec,
    )


def test_volatility_follows_the_one_second_grid():
    rows = [(0.5, 100.0), (0.9, 105.0), (1.0, 101.0), (1.4, 109.0), (30.2, 102.0), (61.0, 90.0)]
    found = labels(rows)
    # 101 at the first grid point, 109 at the second, 102 at the 31st.
    steps = [math.log(101 / 100), math.log(109 / 101), math.log(102 / 109)]
    assert found.value[0] == pytest.approx(math.sqrt(sum(x * x for x in steps)), rel=1e-12)
    assert found.known_at.tolist() == [5, 5, -1, -1, -1, -1]


def test_return_is_to_the_last_mid_within_the_horizon():
    rows = [(0.5, 100.0), (60.5, 103.0), (60.6, 111.0)]
    assert labels(rows, RETURN).value[0] == pytest.approx(math.log(1.03), rel=1e-12)


def test_a_tick_at_the_end_of_the_horizon_does_not_make_it_known():
    rows = [(0.0, 100.0), (60.0, 103.0)]
    assert labels(rows).known_at[0] == -1
    assert labels([*rows, (60.0, 104.0), (60.1, 1.0)], RETURN).value[0] == pytest.approx(
        math.log(1.04), rel=1e-12
    )


def test_silence_over_the_horizon_is_no_label():
    found = labels([(0.0, 100.0), (60.5, 103.0), (61.0, 104.0)])
    assert np.isnan(found.value[0])
    assert found.known_at[0] == 1


def test_a_tick_at_the_same_time_is_not_one_of_the_horizon():
    assert np.isnan(labels([(0.0, 100.0), (0.0, 101.0), (60.5, 103.0)]).value[0])


@pytest.mark.parametrize("trouble", ["gaps", "restarts"])
def test_a_gap_or_restart_before_the_truth_is_known_drops_it(trouble):
    rows = [(0.0, 100.0), (20.0, 101.0), (40.0, 103.0), (90.0, 104.0), (110.0, 105.0)]
    found = labels(rows, **{trouble: [2]})
    assert np.isnan(found.value[:2]).all()
    assert found.known_at[:2].tolist() == [2, 2]
    assert found.value[2] == pytest.approx(math.log(104 / 103), rel=1e-12)


def test_a_clock_years_ahead_drops_no_other_symbols_label():
    rows = [(0.0, 100.0), (20.0, 101.0), (1e8, 5.0), (40.0, 103.0), (90.0, 104.0)]
    found = labels(rows, RETURN, symbols=[0, 0, 1, 0, 0])
    assert found.value[0] == pytest.approx(math.log(1.03), rel=1e-12)
    assert found.known_at.tolist() == [4, 4, -1, -1, -1]


def test_a_gap_mark_that_is_no_gap_drops_no_label():
    """The labels follow what the features found, not what the tick said."""
    ticks = [T(START_NS + s * NS_PER_S, 100.0 + s, trade_id=s) for s in range(100)]
    ticks[30].gap = True
    log = batch_of(ticks)
    rows = FeatureState().update(log)
    found = label_columns(log.symbol_id, rows.ts_effective_ns, rows.mid, rows.flags, RETURN)
    assert np.isfinite(found.value[:39]).all()
    log.trade_id[30:] += 1
    rows = FeatureState().update(log)
    found = label_columns(log.symbol_id, rows.ts_effective_ns, rows.mid, rows.flags, RETURN)
    assert np.isnan(found.value[:30]).all()
    assert np.isfinite(found.value[30:39]).all()


def test_symbols_do_not_touch_each_other():
    rows = [(0.0, 100.0), (1.0, 7.0), (20.0, 101.0), (70.0, 1.0), (70.0, 5.0)]
    found = labels(rows, RETURN, symbols=[0, 1, 0, 1, 0])
    assert found.value[0] == pytest.approx(math.log(1.01), rel=1e-12)
    assert np.isnan(found.value[1])


def test_relative_form_measures_by_the_symbols_own_hour():
    """Against the feature that tells the same volatility."""
    log = random_log(4, 6000, 2, 1.0)
    features = FeatureState().update(log)
    columns = (log.symbol_id, features.ts_effective_ns, features.mid, features.flags)
    ratio, volatility = quantity(RELATIVE, *columns), quantity(ABSOLUTE, *columns)
    hour = features.values64[:, INDEX["grid_vol_3600"]]
    scale = np.maximum(1.0, features.values64[:, INDEX["history_s"]])
    known = ~np.isnan(ratio)
    assert known.sum() > 5000
    usual = hour[known] * np.sqrt(60 / scale[known])
    np.testing.assert_allclose(ratio[known], volatility[known] / usual, rtol=1e-9)


def test_a_flat_hour_has_no_relative_form():
    rows = [(float(s), 100.0) for s in range(100)] + [(100.0, 101.0), (170.0, 101.0)]
    assert np.isnan(labels(rows, RELATIVE).value[:100]).all()
    assert labels(rows).value[60] > 0


def test_truth_is_whether_the_level_is_exceeded():
    spec = TargetSpec(name="x", kind="classification", definition="relative", level=2.0)
    values = np.array([1.0, 2.0, 2.1, np.nan])
    np.testing.assert_array_equal(truth(values, spec), [0.0, 0.0, 1.0, np.nan])
    assert truth(values, RETURN) is values
    with pytest.raises(ValueError, match="has no level"):
        truth(values, RELATIVE)


def test_horizon_and_lookback_must_be_positive():
    with pytest.raises(ValueError, match="whole seconds"):
        Realizer(0)


def found_by_features(log):
    """Return the columns that a realizer takes, of the ticks that are no duplicates."""
    rows = FeatureState().update(log)
    keep = ~np.isnan(rows.mid)
    return {
        "offset": log.offset[keep],
        "symbol_id": log.symbol_id[keep],
        "ts_event_ns": log.ts_event_ns[keep],
        "mid": rows.mid[keep],
        "late": (rows.flags[keep] & LATE) != 0,
        "gap": (rows.flags[keep] & GAP) != 0,
        "restart": (rows.flags[keep] & RESTART) != 0,
    }


def realized_in_pieces(columns, cuts, **sizes):
    """Return number -> (ratio, volatility, return, row that made it known), bits as they are."""
    realizer = Realizer(**sizes)
    n = len(columns["mid"])
    found = {}
    edges = [0, *sorted(cuts), n]
    for a, b in itertools.pairwise(edges):
        part = realizer.update(**{name: column[a:b] for name, column in columns.items()})
        for k in range(len(part)):
            number = int(part.number[k])
            assert number not in found
            bits = (part.ratio[k], part.volatility[k], part.forward_return[k])
            found[number] = (np.array(bits).tobytes(), a + int(part.known_row[k]))
    assert len(found) + realizer.pending == n
    return found


def assert_agrees(columns, **sizes):
    expected = label(
        columns["symbol_id"].tolist(),
        columns["ts_event_ns"].tolist(),
        columns["mid"].tolist(),
        columns["gap"].tolist(),
        columns["restart"].tolist(),
        **sizes,
    )
    found = realized_in_pieces(columns, [], **sizes)
    for i, (*values, known_at) in enumerate(expected):
        if i not in found:
            assert known_at == -1
            continue
        got, row = np.frombuffer(found[i][0]), found[i][1]
        np.testing.assert_allclose(got, values, rtol=1e-9, atol=1e-13, err_msg=f"row {i}")
        # What was forgotten is given up before another row of the symbol tells.
        assert row == known_at or ((known_at == -1 or row < known_at) and np.isnan(got).all())


@settings(max_examples=150)
@given(log=short_logs())
def test_hostile_logs_agree_with_the_oracle(log):
    assert_agrees(found_by_features(log))


@settings(max_examples=60)
@given(log=short_logs(min_ticks=40, max_ticks=90, max_symbols=4, steps_ns=SPARSE_STEPS_NS))
def test_logs_in_which_symbols_are_forgotten_agree_with_the_oracle(log):
    assert_agrees(found_by_features(log))


@settings(max_examples=100)
@given(log=short_logs(max_symbols=6), max_symbols=st.integers(1, 4))
def test_logs_of_more_symbols_than_are_remembered_agree_with_the_oracle(log, max_symbols):
    assert_agrees(found_by_features(log), max_symbols=max_symbols)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    mean_gap_s=st.sampled_from([0.2, 1.0, 7.0, 50.0]),
    sizes=st.sampled_from([(60, 3600), (1, 60), (300, 900), (600, 300)]),
)
def test_plausible_logs_agree_with_the_oracle(seed, mean_gap_s, sizes):
    log = random_log(seed, 200, 2, mean_gap_s, late=0.05, gaps=0.01)
    assert_agrees(found_by_features(log), horizon_s=sizes[0], lookback_s=sizes[1])


@settings(max_examples=80)
@given(log=short_logs(), data=st.data())
def test_batch_cuts_change_no_bit(log, data):
    columns = found_by_features(log)
    n = len(columns["mid"])
    cuts = data.draw(st.lists(st.integers(0, n), max_size=8))
    assert realized_in_pieces(columns, []) == realized_in_pieces(columns, cuts)


def assert_rebuilds(columns, start, committed, **sizes):
    """Start at row ``start``; what becomes known from ``committed`` on must be the same."""
    n = len(columns["mid"])
    whole = {k: v for k, v in realized_in_pieces(columns, [], **sizes).items() if v[1] >= committed}
    tail = {name: column[start:n] for name, column in columns.items()}
    again = realized_in_pieces(tail, [], **sizes)
    shifted = {k + start: (bits, row + start) for k, (bits, row) in again.items()}
    assert whole == {k: v for k, v in shifted.items() if v[1] >= committed}


@settings(max_examples=150)
@given(log=short_logs(), data=st.data())
def test_a_rebuilt_realizer_tells_the_same(log, data):
    columns = found_by_features(log)
    n = len(columns["mid"])
    committed = data.draw(st.integers(1, n))
    realizer = Realizer()
    part = realizer.update(**{name: column[:committed] for name, column in columns.items()})
    latest = int(np.searchsorted(columns["offset"], part.rebuild_from))
    assert_rebuilds(columns, min(latest, committed), committed)
    assert_rebuilds(columns, data.draw(st.integers(0, min(latest, committed))), committed)


@settings(max_examples=100)
@given(
    log=short_logs(min_ticks=40, max_ticks=90, max_symbols=4, steps_ns=SPARSE_STEPS_NS),
    data=st.data(),
)
def test_a_realizer_that_forgot_symbols_is_rebuilt(log, data):
    columns = found_by_features(log)
    committed = data.draw(st.integers(1, len(columns["mid"])))
    part = Realizer().update(**{name: column[:committed] for name, column in columns.items()})
    latest = min(int(np.searchsorted(columns["offset"], part.rebuild_from)), committed)
    assert_rebuilds(columns, latest, committed)
    assert_rebuilds(columns, data.draw(st.integers(0, latest)), committed)


@settings(max_examples=150)
@given(log=short_logs(min_ticks=10, max_symbols=6), max_symbols=st.integers(1, 4), data=st.data())
def test_a_realizer_of_more_symbols_than_it_remembers_is_rebuilt(log, max_symbols, data):
    columns = found_by_features(log)
    committed = data.draw(st.integers(1, len(columns["mid"])))
    realizer = Realizer(max_symbols=max_symbols)
    part = realizer.update(**{name: column[:committed] for name, column in columns.items()})
    latest = min(int(np.searchsorted(columns["offset"], part.rebuild_from)), committed)
    assert_rebuilds(columns, latest, committed, max_symbols=max_symbols)
    start = data.draw(st.integers(0, latest))
    assert_rebuilds(columns, start, committed, max_symbols=max_symbols)


def test_long_logs_rebuild():
    for seed in range(4):
        log = long_log(seed, 1500, 2, 0.03 * seed)
        columns = found_by_features(log)
        n = len(columns["mid"])
        for committed in range(n // 3, n, n // 7):
            part = Realizer().update(**{k: column[:committed] for k, column in columns.items()})
            latest = int(np.searchsorted(columns["offset"], part.rebuild_from))
            assert_rebuilds(columns, min(latest, committed), committed)


@COMPILED_ONLY
def test_rebuild_from_follows_at_about_an_hour():
    columns = found_by_features(random_log(1, 20_000, 3, 1.0, late=0.01))
    realizer = Realizer()
    assert realizer.rebuild_from == NOTHING_HELD
    for a in range(0, 20_000, 1000):
        part = realizer.update(**{name: column[a : a + 1000] for name, column in columns.items()})
        if a > 8000:
            at = int(np.searchsorted(columns["offset"], part.rebuild_from))
            newest = columns["ts_event_ns"][min(a + 1000, len(columns["mid"])) - 1]
            assert newest - columns["ts_event_ns"][at] < 1.1 * 3600 * NS_PER_S


@COMPILED_ONLY
def test_memory_stays_finite():
    realizer = Realizer()
    columns = found_by_features(random_log(1, 30_000, 2, 1.0))
    sizes = []
    for a in range(0, 30_000, 500):
        realizer.update(**{name: column[a : a + 500] for name, column in columns.items()})
        sizes.append(len(realizer._memory.links))
    assert sizes[-1] == sizes[len(sizes) // 2]
    assert realizer.pending < 500


def test_labels_of_a_log_equal_what_streaming_finds():
    log = random_log(6, 5000, 3, 0.5, repeats=0.02)
    rows = FeatureState().update(log)
    spec = RELATIVE
    value = label_columns(log.symbol_id, rows.ts_effective_ns, rows.mid, rows.flags, spec).value
    keep = np.flatnonzero(~np.isnan(rows.mid))
    streamed = realized_in_pieces(found_by_features(log), range(0, len(keep), 97))
    numbers = np.array(sorted(streamed))
    assert 4000 < len(numbers) < len(keep)
    found = np.array([np.frombuffer(streamed[number][0])[0] for number in numbers.tolist()])
    assert np.isfinite(found).sum() > 4000
    assert value[keep[numbers]].tobytes() == found.tobytes()
    # The truth of the last minute is not known yet.
    assert np.isnan(np.delete(value[keep], numbers)).all()


def test_an_unknown_row_has_no_label():
    log = batch_of([T(START_NS, 100.0, trade_id=1), T(START_NS, 100.0, trade_id=1)])
    rows = FeatureState().update(log)
    found = label_columns(log.symbol_id, rows.ts_effective_ns, rows.mid, rows.flags, ABSOLUTE)
    assert np.isnan(found.value).all()
    assert found.known_at.tolist() == [-1, -1]
