"""Where a partition starts, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.connectors.kafka.positions import (
    Position,
    Start,
    decode_metadata,
    encode_metadata,
    plan,
)
from flows.errors import LogTrimmedError


def start(
    committed: int | None,
    rebuild_from: int | None,
    low: int = 0,
    high: int = 100,
    *,
    accept: bool = False,
) -> Start:
    position = Position(4, committed, rebuild_from, low, high)
    return plan(position, "ticks.raw", accept_state_loss=accept)


def test_without_a_commit_everything_in_the_log_is_new():
    assert start(None, None, low=7) == Start(4, 7, 7)


def test_state_is_rebuilt_from_where_the_commit_says():
    assert start(50, 20) == Start(4, 20, 50)


def test_without_metadata_state_is_rebuilt_from_the_beginning():
    assert start(50, None, low=3) == Start(4, 3, 50)


def test_a_log_read_to_its_end_is_no_loss():
    assert start(100, 100) == Start(4, 100, 100)


REFUSED = [
    ((50, 20, 60, 100), "committed offset 50 is below the log's first offset 60: 10 messages"),
    ((50, 20, 30, 100), "depends on offset 20, but the log begins at 30: 10 messages of state"),
    ((150, 20, 0, 100), "committed offset 150 is beyond the end of the log 100"),
]


@pytest.mark.parametrize(("numbers", "said"), REFUSED)
def test_a_loss_is_refused_with_cause_and_cure(numbers: tuple[int, ...], said: str):
    with pytest.raises(LogTrimmedError, match=said) as refused:
        start(*numbers)
    assert "partition 4 of ticks.raw" in str(refused.value)
    assert "VOLTICK_ACCEPT_STATE_LOSS=true" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_accepted_loss_goes_on_with_what_is_left():
    assert start(50, 20, 60, accept=True) == Start(4, 60, 60, reset=True)
    assert start(50, 20, 30, accept=True) == Start(4, 30, 50)
    assert start(150, 20, 5, accept=True) == Start(4, 5, 5, reset=True)


numbers = st.integers(0, 200)


@given(st.none() | numbers, st.none() | numbers, numbers, numbers)
def test_a_start_is_within_the_log_and_before_what_is_emitted(committed, rebuild_from, low, length):
    planned = start(committed, rebuild_from, low, low + length, accept=True)
    assert low <= planned.read_from <= planned.emit_from <= low + length
    if committed is not None and low <= committed <= low + length:
        assert planned.emit_from == committed


@pytest.mark.parametrize("text", [None, "", "x", "[]", '{"other":1}', '{"rebuild_from":"1"}'])
def test_foreign_metadata_is_no_metadata(text: str | None):
    assert decode_metadata(text) is None


def test_metadata_comes_back():
    assert encode_metadata(12) == '{"rebuild_from":12}'
    assert decode_metadata(encode_metadata(2**60)) == 2**60
