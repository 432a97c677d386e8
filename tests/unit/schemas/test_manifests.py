"""A manifest whose numbers would end a flow later on is none, wherever it is read."""

from typing import Any

import msgspec
import pytest

from schemas.models import FeatureReference, ModelManifest
from tests.support.models import tiny

HUGE = 10**30


def decode(**changes: Any) -> ModelManifest:
    """Return a good manifest with other fields, read as a file of the store is."""
    fields = {**msgspec.to_builtins(tiny()[0]), **changes}
    return msgspec.json.decode(msgspec.json.encode(fields), type=ModelManifest)


def histogram(edges: list[float], counts: list[int], undefined: int = 0) -> dict[str, Any]:
    return {"feature": "spread_bps", "edges": edges, "counts": counts, "undefined": undefined}


def target(**changes: Any) -> dict[str, Any]:
    return {**msgspec.to_builtins(tiny()[0].target), **changes}


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("created_ns", {"created_ns": HUGE}),
        ("created_ns", {"created_ns": -1}),
        ("data_from_ns", {"data_from_ns": HUGE}),
        ("data_to_ns", {"data_to_ns": -HUGE}),
        ("data_windows_ns", {"data_windows_ns": [[0, HUGE]]}),
        ("row_count", {"row_count": HUGE}),
        ("row_count", {"row_count": -1}),
        ("target.horizon_s", {"target": target(horizon_s=HUGE)}),
        ("target.horizon_s", {"target": target(horizon_s=2**63 - 1)}),
        ("target.horizon_s", {"target": target(horizon_s=0)}),
        ("target.lookback_s", {"target": target(lookback_s=HUGE)}),
        ("target.percentile", {"target": target(percentile=100)}),
        ("target.percentile", {"target": target(percentile=-1)}),
        ("reference", {"reference": [histogram([0, 1], [HUGE])]}),
        ("reference", {"reference": [histogram([0, 1], [-1])]}),
        ("reference", {"reference": [histogram([0, 1], [1], HUGE)]}),
        ("score_reference", {"score_reference": histogram([0, 1], [1], -1)}),
    ],
)
def test_a_number_that_arithmetic_cannot_hold_is_refused_by_name(
    where: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{where}"):
        decode(**changes)


@pytest.mark.parametrize(
    ("edges", "counts", "why"),
    [
        ([0.0, 1.0], [1, 2, 3], "2 edges and 3 counts"),
        ([0.0, 1.0, 2.0], [1], "3 edges and 1 counts"),
        ([], [1], "0 edges and 1 counts"),
        ([1.0, 0.0], [5], "not finite and rising"),
        ([0.0, 0.0], [5], "not finite and rising"),
        ([0.0, float("inf")], [5], "not finite and rising"),
    ],
    ids=["more", "fewer", "no-edge", "falling", "equal", "infinite"],
)
def test_a_histogram_that_nothing_can_be_counted_by_is_refused(
    edges: list[float], counts: list[int], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        FeatureReference(feature="spread_bps", edges=edges, counts=counts, undefined=0)
    if float("inf") not in edges:
        with pytest.raises(msgspec.ValidationError, match=why):
            decode(reference=[histogram(edges, counts)])


def test_what_training_and_other_stores_write_is_read() -> None:
    """Old data, a histogram of one value, one of none."""
    read = decode(
        data_from_ns=-631_152_000 * 10**9,
        reference=[histogram([1.0, 1.0000000000000002], [7]), histogram([], [], 9)],
    )
    assert read.data_from_ns is not None
    assert read.data_from_ns < 0
    assert [each.undefined for each in read.reference] == [0, 9]
