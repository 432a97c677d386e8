"""Which rows are compared."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from flows.errors import TrainingError
from flows.settings import load_settings
from schemas.features import NAMES
from tests.support.models import tiny
from training.data.build import compute_features
from training.data.sources import read_simulation
from training.data_quality.rows import Rows, at_most, train_and_test, warm_rows

S = 1_000_000_000


def rows(count: int, width: int = 2) -> Rows:
    values = np.zeros((count, width), np.float32)
    return Rows("a market", values, np.arange(count, dtype=np.int64) * S, NAMES[:width])


def test_rows_are_the_first_warm_ones_of_each_symbol_and_second() -> None:
    log = read_simulation(400, load_settings({}), 1_700_000_000 * S)
    table = compute_features(log.batch)
    found = warm_rows("simulated", [(log, table)])
    expected = {}
    for number in np.flatnonzero(table.warm).tolist():
        key = (int(log.batch.symbol_id[number]), int(table.ts_effective_ns[number]) // S)
        expected.setdefault(key, number)
    wanted = sorted(expected.values(), key=lambda number: table.ts_effective_ns[number])
    assert found.ts_ns.tolist() == table.ts_effective_ns[wanted].tolist()
    assert len(found) > 100
    np.testing.assert_array_equal(np.sort(found.values, axis=0), np.sort(table.values[wanted], 0))


def test_what_two_logs_saw_of_a_symbol_in_one_second_is_one_row() -> None:
    one = read_simulation(400, load_settings({}), 1_700_000_000 * S)
    table = compute_features(one.batch)
    alone = warm_rows("one", [(one, table)])
    both = warm_rows("two", [(one, table), (replace(one, name="again"), table)])
    assert both.ts_ns.tolist() == alone.ts_ns.tolist()
    np.testing.assert_array_equal(both.values, alone.values)


def test_training_and_what_came_after_are_told_apart() -> None:
    manifest, _graph = tiny()
    windows = [(10 * S, 19 * S), (50 * S, 59 * S)]
    trained = msgspec.structs.replace(
        manifest, data_from_ns=10 * S, data_to_ns=59 * S, data_windows_ns=windows
    )
    train, test = train_and_test(rows(100), trained)
    assert (train.ts_ns // S).tolist() == [*range(10, 20), *range(50, 60)]
    assert (test.ts_ns // S).tolist() == list(range(60, 100))
    whole, _test = train_and_test(rows(100), msgspec.structs.replace(trained, data_windows_ns=[]))
    assert len(whole) == 50


def test_a_version_or_rows_that_do_not_fit_are_refused() -> None:
    manifest, _graph = tiny()
    with pytest.raises(TrainingError, match="does not say what it was trained on"):
        train_and_test(rows(100), manifest)
    of = msgspec.structs.replace(
        manifest, data_from_ns=200 * S, data_to_ns=300 * S, data_sources=["monday"]
    )
    with pytest.raises(TrainingError, match=r"no warm row of its training.*on monday"):
        train_and_test(rows(100), of)
    with pytest.raises(TrainingError, match="no warm row after its training"):
        train_and_test(rows(301), of)


def test_rows_are_thinned_evenly_and_too_few_are_refused() -> None:
    found = at_most(rows(1000), 250)
    assert len(found) == 250
    assert set(np.diff(found.ts_ns) // S) <= {3, 4, 5}
    with pytest.raises(TrainingError, match="too few rows in a market: 199"):
        at_most(rows(199), 250)


def test_a_column_that_is_not_there_is_named() -> None:
    assert rows(3).named(NAMES[1:2]).columns == NAMES[1:2]
    with pytest.raises(TrainingError, match="no such feature: moon"):
        rows(3).named(["moon"])
