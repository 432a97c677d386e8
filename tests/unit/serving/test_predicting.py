"""Feature rows: whatever comes in is a matrix equal to it, or refused by name."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.features import FEATURES
from serving.http.problems import ApiError
from serving.models.predicting import FLOAT32_MAX, parse_rows


def values_of(feature):
    low, high = max(feature.low, -FLOAT32_MAX), min(feature.high, FLOAT32_MAX)
    numbers = st.floats(low, high, width=64)
    return numbers | st.none() if feature.undefined else numbers


ROWS = st.fixed_dictionaries({feature.name: values_of(feature) for feature in FEATURES})


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_rows_arrive_unchanged_in_the_contract_s_order(rows):
    values = parse_rows(json.dumps({"rows": rows}).encode())
    expected = [
        [np.nan if row[each.name] is None else row[each.name] for each in FEATURES] for row in rows
    ]
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array(expected).astype(np.float32))


@given(st.binary(max_size=60) | st.from_regex(r'\{"rows": ?\[.{0,40}\]\}').map(str.encode))
def test_anything_else_is_refused_and_never_crashes(body):
    with pytest.raises(ApiError) as caught:
        parse_rows(body)
    assert caught.value.status in {400, 422}


@given(ROWS, st.sampled_from([feature.name for feature in FEATURES]))
def test_a_missing_feature_is_named(row, name):
    del row[name]
    with pytest.raises(ApiError, match=f"{name}: missing"):
        parse_rows(json.dumps({"rows": [row]}).encode())
