"""Rows are made by the flow's own code, the same whatever the cuts."""

import dataclasses

import numpy as np
import pytest

from flows.errors import TrainingError
from flows.features import FeatureState
from flows.numeric.time import NS_PER_S
from flows.settings import load_settings
from flows.targets import label_columns
from schemas.features import NAMES
from schemas.models import TargetSpec
from training.data import build
from training.data.build import build_dataset, compute_features
from training.data.dataset import first_of_each
from training.data.sources import read_simulation

SPEC = TargetSpec(name="volatility_spike", kind="classification", definition="relative")


@pytest.fixture(scope="module")
def log():
    return read_simulation(1_500, load_settings({}), 1_700_000_000 * NS_PER_S)


def test_features_are_those_of_one_kernel_run(log, monkeypatch):
    whole = FeatureState().update(log.batch)
    monkeypatch.setattr(build, "CHUNK", 777)
    table = compute_features(log.batch)
    np.testing.assert_array_equal(table.values, whole.values)
    np.testing.assert_array_equal(table.flags, whole.flags)


def test_rows_are_warm_labelled_and_one_a_second(log):
    data = build_dataset([log], SPEC)
    assert data.provenance == "simulated"
    assert np.isfinite(data.quantity).all()
    assert (np.diff(data.ts_ns) >= 0).all()
    assert (data.values[:, NAMES.index("history_s")] >= 300).all()
    key = data.symbol.astype(np.int64) << 40 | data.ts_ns // NS_PER_S
    assert len(np.unique(key)) == len(key)
    assert data.ts_ns.max() + 60 * NS_PER_S <= log.batch.ts_event_ns.max()


def test_labels_are_the_targets_own(log):
    data = build_dataset([log], SPEC, every_s=1e-9)
    table = compute_features(log.batch)
    labels = label_columns(
        log.batch.symbol_id, table.ts_effective_ns, table.mid, table.flags, SPEC
    ).value
    known = np.flatnonzero(np.isfinite(labels) & table.warm)
    order = np.argsort(table.ts_effective_ns[known], kind="stable")
    assert len(data) <= len(known)
    assert set(data.quantity) <= set(labels[known][order])


def test_the_first_row_of_each_second_is_kept():
    symbol = np.array([0, 0, 1, 0, 1, 0], np.int32)
    ts = np.array([0, 1, 1, 11, 12, 12], np.int64)
    usable = np.array([False, True, True, True, True, True])
    assert first_of_each(symbol, ts, 10, usable).tolist() == [1, 2, 3, 4]


def test_two_logs_of_one_market_give_one_row_a_second(log):
    """As two recorders leave them; else what both saw would count twice in every figure."""
    first = dataclasses.replace(log, name="first", batch=build.take(log.batch, slice(0, 9_000)))
    second = dataclasses.replace(
        log, name="second", batch=build.take(log.batch, slice(2_000, None))
    )
    whole = build_dataset([log], SPEC)
    both = build_dataset([first, second], SPEC)
    key = both.symbol.astype(np.int64) << 40 | both.ts_ns // NS_PER_S
    assert len(np.unique(key)) == len(key)
    assert len(both) <= len(whole)
    assert (np.diff(both.ts_ns) >= 0).all()
    twice = build_dataset([log, log], SPEC)
    np.testing.assert_array_equal(twice.values, whole.values)
    np.testing.assert_array_equal(twice.quantity, whole.quantity)


@pytest.mark.parametrize("definition", ["relative", "absolute"])
def test_a_price_that_never_moves_is_said_to_be_the_cause(log, definition):
    """All ticks are warm and whole: what is missing is any volatility to compare with."""
    still = np.full(len(log.batch), 100.0)
    batch = dataclasses.replace(log.batch, price=still, bid=still - 0.1, ask=still + 0.1)
    spec = TargetSpec(name="volatility_spike", kind="classification", definition=definition)
    flat = dataclasses.replace(log, batch=batch)
    if definition == "absolute":
        assert set(build_dataset([flat], spec).quantity) == {0.0}
        return
    with pytest.raises(TrainingError, match=r"nothing to learn: in \d+ ticks of simulator:BTC-USD"):
        build_dataset([flat], spec)


def test_without_a_label_there_is_nothing_to_learn(log):
    short = type(log)(log.name, build.take(log.batch, slice(0, 100)), log.symbols, log.provenance)
    with pytest.raises(TrainingError, match=r"too few ticks: none of 100 is warm"):
        build_dataset([short], SPEC)
    with pytest.raises(TrainingError, match="too few ticks"):
        build_dataset([], SPEC)
