"""What another member adds: the rate between two looks, and when a member streams."""

import pytest

from tests.bench import members
from tests.bench.members import CONTESTANTS, throughput


def test_the_rate_is_that_of_all_partitions_between_two_looks() -> None:
    assert throughput({0: 100, 1: 300}, {0: 1_100, 1: 1_300}, 4.0, 2_400) == 500.0


def test_too_little_between_two_looks_tells_nothing() -> None:
    with pytest.raises(RuntimeError, match="only 100 of 2400 ticks"):
        throughput({0: 100, 1: 300}, {0: 150, 1: 350}, 0.1, 2_400)


@pytest.mark.parametrize(
    ("health", "streams"),
    [
        ({}, False),
        ({"assigned": [0, 1], "rebuilding": []}, False),
        ({"assigned": [0], "rebuilding": [0]}, False),
        ({"assigned": [0], "rebuilding": []}, True),
    ],
    ids=["no answer", "all of it still", "rebuilding", "its share"],
)
def test_a_member_streams_once_it_has_its_share(
    monkeypatch: pytest.MonkeyPatch, health: dict[str, list[int]], streams: bool
) -> None:
    monkeypatch.setattr(members, "answer_of", lambda _port, _path: health)
    assert members._streams(0, share=1) is streams


def test_workers_are_an_option_of_the_command() -> None:
    assert CONTESTANTS["two_workers"].options == ["-w", "2"]
    assert CONTESTANTS["one"].options == CONTESTANTS["two_members"].options == []
