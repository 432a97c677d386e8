"""Feature values against the oracle: the kernel's are right, a corrupted value is found."""

from collections import Counter
from itertools import islice

import msgspec
import numpy as np
import pytest

from flows.codec.batch import DUPLICATE, RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features import FeatureState
from schemas.features import NAMES
from schemas.predictions import FeatureRow
from tests.oracle.expectation import Expected, expect
from tests.oracle.order import Decision
from tests.proof.inputs import messages
from tests.proof.values import check_values
from tests.support.kafka.tools import Message

FIRST, RESTART = Decision.FIRST, Decision.RESTART


@pytest.fixture(scope="module")
def history() -> tuple[Expected, list[Message]]:
    """One partition's ticks through the kernel, as feature rows."""
    raw, ends = [], Counter()
    for each in islice(messages(27, 1), 3000):
        raw.append(Message(0, ends[0], each.timestamp_ms, each.key, each.value))
        ends[0] += 1
    whole = RawBatch(
        partition=0,
        values=[each.value for each in raw],
        offsets=[each.offset for each in raw],
        timestamps_ms=[each.timestamp_ms for each in raw],
        next_offset=len(raw),
    )
    batch, _ = decode(whole, SymbolTable(), "ticks.raw", frozenset())
    rows = FeatureState().update(batch)
    published = []
    for at in np.flatnonzero((rows.flags & DUPLICATE) == 0):
        values = [None if np.isnan(value) else float(value) for value in rows.values[at]]
        row = FeatureRow(
            symbol="", venue="", ts_event_ns=0, feature_set=1, warm=False, values=values,
            partition=0, offset=int(batch.offset[at]),
        )  # fmt: skip
        published.append(Message(0, int(at), 0, None, msgspec.json.encode(row)))
    return expect(raw), published


def test_values_of_the_kernel_are_the_oracles(history) -> None:
    expected, published = history
    assert len(published) == len(expected.rows)
    assert list(check_values(expected, published, seed=1, rows=400)) == []


@pytest.mark.parametrize("column", [0, 5, 18, 33, 50])
def test_corrupted_value_is_found(history, column: int) -> None:
    expected, published = history
    row = msgspec.json.decode(published[-1].value)
    row["values"][column] = 1.001 * (row["values"][column] or 1.0)
    corrupted = [Message(0, 0, 0, None, msgspec.json.encode(row))]
    assert len(list(check_values(expected, corrupted, seed=1, rows=len(expected.rows)))) == 1


def test_corrupted_value_at_any_beginning_is_found(history) -> None:
    expected, published = history
    beginnings = {FIRST, RESTART}
    places = [at for at, row in expected.rows.items() if row.decision in beginnings]
    assert {expected.rows[at].decision for at in places} == beginnings
    corrupted = []
    for message in published:
        row = msgspec.json.decode(message.value)
        if (row["partition"], row["offset"]) in places:
            row["values"][NAMES.index("tick_count_60")] += 1.0
            corrupted.append(Message(0, 0, 0, None, msgspec.json.encode(row)))
    found = check_values(expected, corrupted, seed=1, rows=0)
    assert sorted(defect.origin for defect in found) == sorted(places)
