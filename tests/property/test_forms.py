"""The two forms of the kernels give the same bits, and may take turns."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.features import FeatureState, feature_kernel
from flows.targets import Realizer, label_kernel
from schemas.features import MAX_SYMBOLS
from tests.property.test_features_oracle import recorded
from tests.support.captures import capture
from tests.support.feature_checks import assert_same_bits
from tests.support.forms import COMPILED_ONLY
from tests.support.hostile import SPARSE_STEPS_NS, STEPS_NS, long_log, short_logs
from tests.support.ticks import NAN, T, batch_of, cut, random_log
from tests.unit.targets.test_labels import found_by_features

pytestmark = COMPILED_ONLY

EXTREMES = (5e-324, 1e-308, 1e-200, 1e-9, 1.0, 1e9, 1e200, 1e308, 1.7976931348623157e308)


def plain():
    return feature_kernel().uncompiled


def assert_forms_agree(log, max_symbols=MAX_SYMBOLS):
    """Hold rows, flags and labels of the two forms against each other, bit for bit."""
    compiled, uncompiled = FeatureState(None, max_symbols), FeatureState(plain, max_symbols)
    rows, same = compiled.update(log), uncompiled.update(log)
    for values in (rows.values64, same.values64):
        # A NaN made of infinities has a sign, which compilers may change, and no meaning.
        values[np.isnan(values)] = NAN
    assert_same_bits(rows, same)
    assert compiled.rebuild_from == uncompiled.rebuild_from
    for name in ("late", "duplicates", "gaps", "restarts"):
        assert getattr(compiled, name) == getattr(uncompiled, name)
    columns = found_by_features(log)
    one = Realizer(max_symbols=max_symbols)
    two = Realizer(form=lambda: label_kernel().uncompiled, max_symbols=max_symbols)
    a, b = one.update(**columns), two.update(**columns)
    for name in ("number", "known_row", "ts_known_ns", "ratio", "volatility", "forward_return"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert a.rebuild_from == b.rebuild_from


@settings(max_examples=150)
@given(log=short_logs(max_symbols=4), sparse=short_logs(max_symbols=4, steps_ns=SPARSE_STEPS_NS))
def test_hostile_logs(log, sparse):
    assert_forms_agree(log)
    assert_forms_agree(log, 2)
    assert_forms_agree(sparse)


@pytest.mark.parametrize("seed", range(4))
def test_long_logs(seed):
    assert_forms_agree(long_log(seed, 3000, 3, 0.1 * seed))
    assert_forms_agree(random_log(seed, 6000, 2, 0.5, 0.1 * seed, True, 0.02, 0.02, 0.005))


@settings(max_examples=200)
@given(
    ticks=st.lists(
        st.tuples(
            st.sampled_from(STEPS_NS),
            *(st.sampled_from(EXTREMES) for _ in range(2)),
            st.tuples(*(st.sampled_from((0.0, NAN, *EXTREMES)) for _ in range(3))),
            st.booleans(),
            st.integers(-1, 1),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_extremes_of_doubles(ticks):
    """What Python refuses where numba does not: zero divisors, logarithms, roots, overflows."""
    now, made = 1_700_000_000 * 10**9, []
    for step, price, bid, (size, bid_size, ask_size), quoted, side in ticks:
        now += step
        made.append(T(now, price, size=size, side=side, bid_size=bid_size, ask_size=ask_size))
        if quoted:
            made[-1].bid, made[-1].ask = min(price, bid), max(price, bid)
    assert_forms_agree(batch_of(made))


@pytest.mark.parametrize(
    "name", ["coinbase-exchange_btc_20251112_165s", "binance_btcusdt_20240808_11min"]
)
def test_recordings(name):
    assert_forms_agree(recorded(capture(name), 2500))


@settings(max_examples=80)
@given(log=short_logs(max_symbols=3), data=st.data())
def test_the_forms_may_change_between_any_two_batches(log, data):
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=8))), len(log)]
    forms = data.draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))
    current = [feature_kernel().compile()]
    state = FeatureState(lambda: current[0])
    parts = []
    for (a, b), compiled in zip(itertools.pairwise(cuts), forms, strict=False):
        current[0] = feature_kernel().compile() if compiled else plain()
        parts.append(state.update(cut(log, a, b)))
    rows = FeatureState().update(log)
    for name in ("values64", "flags", "mid", "ts_effective_ns"):
        whole = np.concatenate([getattr(part, name) for part in parts])
        assert whole.tobytes() == getattr(rows, name).tobytes()
    assert parts[-1].rebuild_from == rows.rebuild_from
