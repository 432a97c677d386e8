"""Where a partition starts, and what is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.connectors.kafka.positions import (
    HOUR_MS,
    CommitMetadata,
    OutputsState,
    Position,
    Start,
    StartPolicy,
    decode_metadata,
    encode_metadata,
    plan,
)
from flows.errors import LogTrimmedError, UnknownPositionError

DAY_MS = 24 * HOUR_MS


def position(
    committed: int | None, rebuild_from: int | None = None, low: int = 0, high: int = 100, **more
) -> Position:
    metadata = None if rebuild_from is None else CommitMetadata(rebuild_from)
    return Position(4, committed, low, high, metadata, **more)


def start(at: Position, *, accept: bool = False, policy: StartPolicy = "auto") -> Start:
    """Return the plan without its notice, which other tests read."""
    found = plan(at, "ticks.raw", accept_state_loss=accept, policy=policy)
    return replace(found, notice="")


def notice(at: Position) -> str:
    return plan(at, "ticks.raw", accept_state_loss=False).notice


def test_without_commit_and_outputs_everything_in_the_log_is_new():
    assert start(position(None, low=7)) == Start(4, 7, 7)
    assert notice(position(None, low=7)) == ""


def test_state_is_rebuilt_from_where_the_commit_says():
    assert start(position(50, 20)) == Start(4, 20, 50)


def test_without_metadata_state_is_rebuilt_from_the_beginning():
    assert start(position(50, low=3)) == Start(4, 3, 50)


def test_a_log_read_to_its_end_is_no_loss():
    assert start(position(100, 100)) == Start(4, 100, 100)


REFUSED = {
    "trimmed": (
        position(50, 20, 60),
        "committed offset 50 is below the log's first offset 60: 10 messages",
    ),
    "trimmed to the end": (
        position(50, 20, 100, 100),
        "committed offset 50 is below the log's first offset 100: 50 messages",
    ),
    "state": (
        position(50, 20, 30),
        "depends on offset 20, but the log begins at 30: 10 messages of state",
    ),
    "all state, and messages are left": (
        position(50, 20, 50),
        "depends on offset 20, but the log begins at 50: 30 messages of state",
    ),
    "beyond the end": (
        position(150, 20),
        "committed offset 150 is beyond the end of the log 100, so the topic was recreated",
    ),
    "outputs trimmed away": (
        position(None, low=60, outputs=50),
        "no committed offset, the outputs that are there reach offset 50, and the log begins at"
        " 60: 10 messages were deleted before they were scored",
    ),
    "outputs of another log": (
        position(None, outputs=OutputsState.FOREIGN),
        "the outputs that are there came from another log, so the topic was recreated",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_loss_is_refused_with_cause_and_cure(kind: str):
    at, said = REFUSED[kind]
    with pytest.raises(LogTrimmedError, match=said) as refused:
        start(at)
    assert "partition 4 of ticks.raw" in str(refused.value)
    assert "VOLTICK_ACCEPT_STATE_LOSS=true" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_accepted_loss_goes_on_with_what_is_left():
    assert start(position(50, 20, 60), accept=True) == Start(4, 60, 60, 50, anew=True)
    assert start(position(50, 20, 30), accept=True) == Start(4, 30, 50)
    assert start(position(150, 20, 5), accept=True) == Start(4, 5, 5, 150, anew=True)
    gone = position(None, low=60, outputs=50)
    assert start(gone, accept=True) == Start(4, 60, 60, anew=True)
    foreign = position(None, low=60, outputs=OutputsState.FOREIGN)
    assert start(foreign, accept=True) == Start(4, 60, 60, anew=True)


def test_an_idle_partition_whose_log_was_deleted_to_its_end_has_lost_nothing():
    at = position(100, 50, 100, 100)
    assert start(at) == Start(4, 100, 100)
    assert "the state depends on offset 50, but the log begins at 100" in notice(at)


@pytest.mark.parametrize("low", [80, 100])
def test_deleted_state_that_any_later_tick_would_forget_is_no_loss(low: int):
    at = position(100, 50, low, 120, silence_ms=27 * HOUR_MS)
    assert start(at) == Start(4, low, 100)
    assert "too old to matter" in notice(at)
    with pytest.raises(LogTrimmedError):
        start(replace(at, silence_ms=DAY_MS))


def test_a_topic_that_was_made_anew_and_grew_past_the_commit_is_noticed():
    metadata = CommitMetadata(20, topic_id="old")
    at = Position(4, 50, 0, 100, metadata, topic_id="new")
    with pytest.raises(LogTrimmedError, match="with the id old, and the one that is there has new"):
        start(at)
    assert start(at, accept=True) == Start(4, 0, 0, 50, "new", anew=True)


@pytest.mark.parametrize(("known", "now"), [("a", "a"), ("a", None), (None, "a"), (None, None)])
def test_the_same_topic_and_one_without_an_id_are_taken_as_they_are(known, now):
    at = Position(4, 50, 0, 100, CommitMetadata(20, topic_id=known), topic_id=now)
    assert start(at) == Start(4, 20, 50, topic_id=now)


def test_without_a_commit_it_goes_on_behind_the_outputs():
    at = position(None, low=7, outputs=60)
    assert start(at) == start(at, policy="outputs") == Start(4, 7, 60)
    assert "the outputs that are there reach offset 60: goes on behind them" in notice(at)


@pytest.mark.parametrize("outputs", [60, OutputsState.DELETED, OutputsState.FOREIGN])
def test_the_whole_log_is_scored_where_that_is_asked_for(outputs):
    assert start(position(None, low=7, outputs=outputs), policy="beginning") == Start(4, 7, 7)


def test_where_the_outputs_were_deleted_the_choice_is_named():
    at = position(None, low=60, outputs=OutputsState.DELETED)
    with pytest.raises(UnknownPositionError, match="VOLTICK_START=beginning") as refused:
        start(at, accept=True)
    assert "\n" not in str(refused.value)


def test_where_inputs_and_outputs_were_deleted_it_goes_on_and_says_so():
    at = position(None, low=100, high=100, outputs=OutputsState.DELETED)
    assert start(at) == Start(4, 100, 100)
    assert "goes on with what comes next" in notice(at)


numbers = st.integers(0, 200)


@given(st.none() | numbers, st.none() | numbers, numbers, numbers, st.none() | numbers)
def test_a_start_is_within_the_log_and_before_what_is_emitted(
    committed, rebuild_from, low, length, reached
):
    outputs = OutputsState.NONE if reached is None else min(reached, low + length)
    at = position(committed, rebuild_from, low, low + length, outputs=outputs)
    planned = start(at, accept=True)
    assert low <= planned.read_from <= planned.emit_from <= low + length
    if committed is not None and low <= committed <= low + length:
        assert planned.emit_from == committed
    if committed is None and reached is not None and low <= reached <= low + length:
        assert planned.emit_from == reached


FOREIGN = {
    "none": None,
    "empty": "",
    "no JSON": "x",
    "a list": "[]",
    "another object": '{"other":1}',
    "text": '{"rebuild_from":"1"}',
    "negative": '{"rebuild_from":-1}',
    "beyond any offset": '{"rebuild_from":9223372036854775808}',
    "endless": "[" * 100_000,
    "a lone surrogate": "\ud800",
    "a wrong id": '{"rebuild_from":1,"topic_id":7}',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_metadata_is_no_metadata(kind: str):
    assert decode_metadata(FOREIGN[kind]) is None


def test_metadata_comes_back():
    assert encode_metadata(CommitMetadata(12)) == '{"rebuild_from":12}'
    whole = CommitMetadata(2**60, "id", 1_700_000_000_000, "predictions")
    assert decode_metadata(encode_metadata(whole)) == whole
