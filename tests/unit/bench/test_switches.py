"""A clean run of swaps is found clean, and every defect is found."""

import pytest

from tests.bench.switches import Seen, defects, switch_offsets

ORDERED = ["a", "b", "a"]
END = 9


def clean() -> list[Seen]:
    return [(offset, ORDERED[offset // 3]) for offset in range(END)]


def with_version(offset: int, version: str) -> list[Seen]:
    return [(at, version if at == offset else name) for at, name in clean()]


def without(*offsets: int) -> list[Seen]:
    return [(at, name) for at, name in clean() if at not in offsets]


def test_clean_run_has_no_defects() -> None:
    assert defects(clean(), ORDERED, END) == []
    assert switch_offsets(clean()) == [3, 6]


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        pytest.param(without(4), ["1 missing from offset 4 on"], id="missing"),
        pytest.param(without(0, 1), ["2 missing from offset 0 on"], id="missing-first"),
        pytest.param(without(7, 8), ["2 missing from offset 7 on"], id="missing-last"),
        pytest.param([*clean()[:5], *clean()[4:]], ["offset 4 comes after 4"], id="twice"),
        pytest.param([*clean(), (9, "a")], ["offset 9 was never written"], id="invented"),
        pytest.param(
            with_version(4, "a"),
            [
                "offset 5 switches to b, though nothing was moved",
                "offset 6 switches to a, though nothing was moved",
            ],
            id="mixed-back",
        ),
        pytest.param(
            with_version(8, "b"),
            ["offset 8 switches to b, though nothing was moved"],
            id="late-mix",
        ),
        pytest.param(
            [(at, "a" if at < 6 else name) for at, name in clean()],
            ["no switch to b was seen", "no switch to a was seen"],
            id="missed-switch",
        ),
        pytest.param(
            [(at, "c" if name == "b" else name) for at, name in clean()],
            ["offset 3 switches to c instead of b"],
            id="foreign-version",
        ),
        pytest.param([], ["9 missing from offset 0 on"], id="nothing-at-all"),
    ],
)
def test_defect_is_found(seen: list[Seen], found: list[str]) -> None:
    told = defects(seen, ORDERED, END)
    assert [defect for defect in told if defect in found] == found, told


def test_order_of_a_swapped_pair_is_a_defect() -> None:
    seen = clean()
    seen[4], seen[5] = seen[5], seen[4]
    assert defects(seen, ORDERED, END) == [
        "1 missing from offset 4 on",
        "offset 4 comes after 5",
        "1 missing from offset 5 on",
    ]
