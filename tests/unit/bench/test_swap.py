"""A switch that takes longer than promised is a defect, however clean."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.numeric.time import NS_PER_S
from tests.bench.swap import PROMISED_S, _figures, _Record

REFS = ["m@a", "m@b"]


def figures(took_s: float) -> dict[str, Any]:
    """Return the figures of ten predictions a second, with one move after the second."""
    record = _Record(REFS)
    moved_s = 1.05
    record.seen = [(k, REFS[k / 10 >= moved_s + took_s - 1e-9]) for k in range(60)]
    record.at_ns = [k * NS_PER_S // 10 for k in range(60)]
    mover: Any = SimpleNamespace(
        ordered=REFS, moved_ns=[int(moved_s * NS_PER_S)], took_s=[0.01], failure=None
    )
    return _figures(record, mover, 60)


@pytest.mark.parametrize(
    ("took_s", "ok"), [(0.25, True), (PROMISED_S - 0.05, True), (PROMISED_S + 0.05, False)]
)
def test_only_a_switch_within_the_promise_is_ok(took_s: float, ok: bool) -> None:
    found = figures(took_s)
    assert found["seconds_max"] == pytest.approx(took_s, abs=0.06)
    assert found["ok"] is ok
    assert bool(found["defects"]) is not ok
