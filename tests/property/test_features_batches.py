"""How a log is cut into batches, and what comes later, changes no row."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.codec.batch import DUPLICATE
from flows.features import FeatureState
from schemas.features import FEATURES, MAX_SYMBOLS
from tests.support.feature_checks import assert_same_bits
from tests.support.forms import COMPILED_ONLY
from tests.support.hostile import long_log, short_logs
from tests.support.ticks import COLUMNS, TickBatch, cut, random_log


def in_pieces(log, cuts, max_symbols=MAX_SYMBOLS):
    """Return the rows of a run that takes the log in pieces."""
    state = FeatureState(max_symbols=max_symbols)
    edges = [0, *sorted(cuts), len(log)]
    parts = [state.update(cut(log, a, b)) for a, b in itertools.pairwise(edges)]
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("values64", "flags", "mid", "ts_effective_ns")
    }
    return type(parts[0])(**whole, rebuild_from=parts[-1].rebuild_from), state


@settings(max_examples=150)
@given(
    log=short_logs(max_symbols=5),
    max_symbols=st.sampled_from([1, 2, 4, MAX_SYMBOLS]),
    data=st.data(),
)
def test_batch_cuts_change_no_bit(log, max_symbols, data):
    cuts = data.draw(st.lists(st.integers(0, len(log)), max_size=8))
    whole = FeatureState(max_symbols=max_symbols)
    rows = whole.update(log)
    pieces, state = in_pieces(log, cuts, max_symbols)
    assert_same_bits(rows, pieces)
    assert rows.rebuild_from == pieces.rebuild_from
    for name in ("late", "duplicates", "gaps", "restarts", "crowded_out"):
        assert getattr(whole, name) == getattr(state, name)


@COMPILED_ONLY
def test_batch_cuts_change_no_bit_of_a_long_log_of_many_symbols():
    log = random_log(3, 30_000, symbols=50, mean_gap_s=0.1, nulls=0.1, late=0.02, gaps=0.001)
    rows = FeatureState().update(log)
    rng = np.random.default_rng(0)
    assert_same_bits(rows, in_pieces(log, rng.integers(0, len(log), 700).tolist())[0])
    assert_same_bits(rows, in_pieces(log, range(0, len(log), 7))[0])


@settings(max_examples=100)
@given(log=short_logs(), other=short_logs(), data=st.data())
def test_ticks_after_a_row_never_change_it(log, other, data):
    kept = data.draw(st.integers(1, len(log)))
    mixed = TickBatch(
        partition=0,
        ticks=[],
        **{
            name: np.concatenate([getattr(log, name)[:kept], getattr(other, name)])
            for name in COLUMNS
        },
    )
    assert_same_bits(FeatureState().update(log), FeatureState().update(mixed), 0, 0, kept)


@settings(max_examples=60)
@given(log=short_logs(max_symbols=5))
def test_other_symbols_change_no_row(log):
    # Within a day: forgetting a symbol depends on the clock of the whole partition.
    times = log.ts_event_ns
    span = np.maximum.accumulate(times) - np.minimum.accumulate(times)
    log = cut(log, 0, int(np.searchsorted(span, 86_000 * 10**9)))
    assert len(log)
    rows = FeatureState().update(log)
    for symbol in np.unique(log.symbol_id):
        mine = log.symbol_id == symbol
        alone = TickBatch(
            partition=0, ticks=[], **{name: getattr(log, name)[mine] for name in COLUMNS}
        )
        got = FeatureState().update(alone)
        assert got.values64.tobytes() == rows.values64[mine].tobytes()


def assert_in_range(rows):
    ok = (rows.flags & DUPLICATE) == 0
    for column, feature in enumerate(FEATURES):
        values = rows.values64[ok, column]
        if not feature.undefined:
            assert not np.isnan(values).any(), feature.name
        values = values[~np.isnan(values)]
        assert (values >= feature.low).all(), feature.name
        assert (values <= feature.high).all(), feature.name
    assert np.isnan(rows.values64[~ok]).all()


@settings(max_examples=150)
@given(log=short_logs())
def test_values_stay_in_the_range_of_the_contract(log):
    assert_in_range(FeatureState().update(log))


@COMPILED_ONLY
def test_values_stay_in_the_range_of_the_contract_on_long_logs():
    for seed in range(6):
        assert_in_range(FeatureState().update(long_log(seed, 2000, 3, 0.1 * seed)))
        log = random_log(seed, 20_000, symbols=3, mean_gap_s=0.2, nulls=0.05 * seed)
        assert_in_range(FeatureState().update(log))


def test_extreme_prices_leave_no_trace_once_they_left_the_windows():
    log = random_log(3, 9000, mean_gap_s=1.0)
    spoilt = TickBatch(
        partition=0, ticks=[], **{name: getattr(log, name).copy() for name in COLUMNS}
    )
    for name in ("price", "bid", "ask", "size"):
        getattr(spoilt, name)[100] = 1e300
    rows, clean = FeatureState().update(spoilt), FeatureState().update(log)
    assert np.isfinite(rows.values[~np.isnan(rows.values64)]).all()
    later = int(np.searchsorted(log.ts_event_ns, log.ts_event_ns[100] + 3603 * 10**9))
    assert_same_bits(rows, clean, later, later)
