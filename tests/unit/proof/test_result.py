"""A proof fails by whatever it finds, and its line of JSON counts it."""

import json

import pytest

from tests.proof.checker import KINDS, Defect, Kind
from tests.proof.cluster import Plan
from tests.proof.run import Result

KEYS = (
    "seed",
    "kills",
    "fenced",
    "inputs",
    "feeder",
    "repeats",
    "overtaken",
    "missing",
    "twice",
    "different",
    "out_of_order",
    "accidents",
    "recovery_s_p50",
    "recovery_s_max",
    "standstill_s_max",
)
COUNTED = ("missing", "twice", "different", "out_of_order", "accidents")


def result(*kinds: Kind, accidents: int = 0) -> Result:
    made = Result(Plan(7), inputs=9, kills=3, fenced=1, recoveries_s=[1.0, 4.0, 2.0])
    made.defects = [Defect(kind, "predictions", (0, 1), "corrupted") for kind in kinds]
    made.accidents = ["incarnation-001 ended with -9"] * accidents
    return made


def test_nothing_found_is_no_failure() -> None:
    for keeps in (True, False):
        assert not result().failed(keeps_guarantees=keeps)
    line = json.loads(json.dumps(result().line()))
    assert tuple(line) == KEYS
    assert {name: line[name] for name in COUNTED} == dict.fromkeys(COUNTED, 0)
    assert (line["seed"], line["kills"], line["fenced"], line["inputs"]) == (7, 3, 1, 9)
    assert (line["recovery_s_p50"], line["recovery_s_max"]) == (2.0, 4.0)


@pytest.mark.parametrize("kind", KINDS)
def test_one_defect_of_any_kind_fails_where_guarantees_are_kept(kind: Kind) -> None:
    found = result(kind)
    assert found.failed(keeps_guarantees=True)
    name = "different" if kind == "wrong_partition" else kind
    line = found.line()
    assert {each: line[each] for each in COUNTED} == {**dict.fromkeys(COUNTED, 0), name: 1}


@pytest.mark.parametrize("kind", KINDS)
def test_without_them_only_what_aborted_transactions_show_is_allowed(kind: Kind) -> None:
    allowed = kind in {"twice", "out_of_order"}
    assert result(kind).failed(keeps_guarantees=False) is not allowed
    assert result("twice", kind, "out_of_order").failed(keeps_guarantees=False) is not allowed


def test_an_accident_fails_anywhere() -> None:
    for keeps in (True, False):
        assert result(accidents=1).failed(keeps_guarantees=keeps)
    assert result(accidents=1).line()["accidents"] == 1
