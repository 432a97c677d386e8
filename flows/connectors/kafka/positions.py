"""Decide where a partition starts, from its commit, its log and its outputs. Asks nobody.

Two offsets matter: the one from which on outputs are wanted, and the earlier one from which the log
has to be read so that the state is whole by then. What cannot be decided safely is refused, with
the choice that the operator has.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Literal

import msgspec

from flows.errors import LogTrimmedError, UnknownPositionError
from schemas.decoding import decode_or_none

StartPolicy = Literal["auto", "outputs", "beginning"]
"""Where a partition without a committed offset starts; see ``VOLTICK_START``."""

HOUR_MS = 3_600_000
# A symbol that falls silent is remembered for a day; two hours more cover windows and lookbacks.
STATE_MEMORY_MS = 26 * HOUR_MS

_ACCEPT = "set VOLTICK_ACCEPT_STATE_LOSS=true to go on"

Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class CommitMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a commit carries beside the offset.

    Attributes
    ----------
    rebuild_from
        The oldest offset that the state at the commit depends on.
    topic_id
        Kafka's id of the input topic; None where the broker gives none.
    newest_ms
        Kafka timestamp of the last message before the offset, milliseconds; None if unknown.
    writes
        The topic of the flow's main output: two groups that name the same one repeat each other.
    """

    rebuild_from: Offset
    topic_id: str | None = None
    newest_ms: int | None = None
    writes: str | None = None


class OutputsState(Enum):
    """What the output topics tell of a partition where they do not tell a position."""

    NONE = "the flow has never written an output"
    DELETED = "all outputs have been deleted"
    FOREIGN = "the outputs came from another log than the one that is there"


@dataclass(frozen=True, slots=True)
class Position:
    """The state of a partition at the broker.

    Attributes
    ----------
    committed
        The group's committed offset; None where it has none.
    low, high
        First offset of the log, and one past its last.
    metadata
        Of the commit; None where there is none or it is not ours.
    topic_id
        Of the input topic as it is now; None where the broker gives none.
    outputs
        Without a commit: the offset behind the newest input that led to an output, or why there is
        none.
    silence_ms
        Time between the newest deleted message of the state and the next message to be scored, at
        least; None if it is not known. Asked for only where a part of the state was deleted.
    """

    partition: int
    committed: int | None
    low: int
    high: int
    metadata: CommitMetadata | None = None
    topic_id: str | None = None
    outputs: int | OutputsState = OutputsState.NONE
    silence_ms: int | None = None

    @property
    def state_is_cut(self) -> bool:
        """Whether the log lacks messages that the state at the committed offset depends on."""
        if self.committed is None or self.metadata is None:
            return False
        return min(self.metadata.rebuild_from, self.committed) < self.low <= self.committed


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts.

    Attributes
    ----------
    read_from
        First offset to read.
    emit_from
        First offset whose outputs are wanted.
    replaced
        The committed offset that ``emit_from`` replaces; None where the group has none.
    topic_id
        Kafka's id of the input topic; None where the broker gives none.
    anew
        Whether what was written before came from another log, or from a part that is lost.
    notice
        What the operator should know about this start; empty for nothing.
    """

    partition: int
    read_from: int
    emit_from: int
    replaced: int | None = None
    topic_id: str | None = None
    anew: bool = False
    notice: str = ""


_METADATA = msgspec.json.Decoder(CommitMetadata)


def encode_metadata(metadata: CommitMetadata) -> str:
    """Return the text that is committed beside an offset."""
    return msgspec.json.encode(metadata).decode()


def decode_metadata(text: str | None) -> CommitMetadata | None:
    """Return a commit's metadata; None where there is none or it is not ours."""
    if not text:
        return None
    return decode_or_none(_METADATA.decode, text.encode(errors="replace"))


def plan(
    position: Position, topic: str, *, accept_state_loss: bool, policy: StartPolicy = "auto"
) -> Start:
    """Decide where a partition starts.

    With a commit, outputs are wanted from the committed offset on, and the state is rebuilt from
    the commit's ``rebuild_from``, or from the beginning of the log where that is not known. Without
    one, outputs are wanted behind those that exist already.

    Raises
    ------
    LogTrimmedError
        The log no longer holds what is needed, or is not the one that was read before, unless
        ``accept_state_loss``.
    UnknownPositionError
        The group has no commit, and the outputs that would tell its position were deleted.
    """
    if position.committed is None:
        return _without_commit(position, topic, policy, accept_state_loss=accept_state_loss)
    return _with_commit(position, position.committed, topic, accept_state_loss=accept_state_loss)


def _with_commit(
    position: Position, committed: int, topic: str, *, accept_state_loss: bool
) -> Start:
    where = _where(position, topic)
    low, high = position.low, position.high
    known_id = position.metadata.topic_id if position.metadata else None
    recreated = None not in (known_id, position.topic_id) and known_id != position.topic_id
    if recreated or committed > high:
        cause = (
            f"was committed for the topic with the id {known_id}, and the one that is there has"
            f" {position.topic_id}"
            if recreated
            else f"is beyond the end of the log {high}"
        )
        return _from_beginning(
            position,
            f"{where}: the committed offset {committed} {cause}, so the topic was recreated;"
            f" {_ACCEPT} from its beginning (offset {low}), with empty state",
            accept_state_loss=accept_state_loss,
        )
    if committed < low:
        return _from_beginning(
            position,
            f"{where}: the committed offset {committed} is below the log's first offset {low}:"
            f" {low - committed} messages were deleted before they were scored; {_ACCEPT} from"
            f" offset {low}, with empty state, and lengthen the topic's retention",
            accept_state_loss=accept_state_loss,
        )
    wanted = low if position.metadata is None else min(position.metadata.rebuild_from, committed)
    start = Start(position.partition, max(wanted, low), committed, topic_id=position.topic_id)
    if wanted >= low:
        return start
    lost = f"{where}: the state depends on offset {wanted}, but the log begins at {low}"
    if low == high or _is_forgotten(position):
        notice = f"{lost}; what was deleted is too old to matter, or none is left to be scored"
        return replace(start, notice=notice)
    if not accept_state_loss:
        message = (
            f"{lost}: {low - wanted} messages of state were deleted; {_ACCEPT} with what is left,"
            " and lengthen the topic's retention to more than a day"
        )
        raise LogTrimmedError(message)
    return start


def _without_commit(
    position: Position, topic: str, policy: StartPolicy, *, accept_state_loss: bool
) -> Start:
    where = _where(position, topic)
    low, outputs = position.low, position.outputs
    beginning = Start(position.partition, low, low, topic_id=position.topic_id)
    if policy == "beginning" or outputs is OutputsState.NONE:
        return beginning
    if outputs is OutputsState.FOREIGN:
        return _from_beginning(
            position,
            f"{where}: the group has no committed offset, and the outputs that are there came from"
            f" another log, so the topic was recreated; {_ACCEPT} from its beginning (offset"
            f" {low}), with empty state",
            accept_state_loss=accept_state_loss,
        )
    if outputs is OutputsState.DELETED:
        if low == position.high:
            notice = (
                f"{where}: the group's committed offset was forgotten, and inputs and outputs were"
                " deleted; goes on with what comes next"
            )
            return replace(beginning, notice=notice)
        message = (
            f"{where}: the group has no committed offset, and the outputs that would tell how far"
            " it came were deleted; set VOLTICK_START=beginning to score all that the log still"
            f" holds, from offset {low} on, also what was scored before"
        )
        raise UnknownPositionError(message)
    if outputs < low:
        return _from_beginning(
            position,
            f"{where}: the group has no committed offset, the outputs that are there reach offset"
            f" {outputs}, and the log begins at {low}: {low - outputs} messages were deleted before"
            f" they were scored; {_ACCEPT} from offset {low}, with empty state, and lengthen the"
            " topic's retention",
            accept_state_loss=accept_state_loss,
        )
    notice = (
        f"{where}: the group has no committed offset; the outputs that are there reach offset"
        f" {outputs}: goes on behind them, once the log before is read again"
    )
    start = Start(position.partition, low, outputs, topic_id=position.topic_id)
    return replace(start, notice=notice)


def _from_beginning(position: Position, refusal: str, *, accept_state_loss: bool) -> Start:
    """Return a start at the log's first offset where its loss is accepted; refuse otherwise."""
    if not accept_state_loss:
        raise LogTrimmedError(refusal)
    low = position.low
    return Start(position.partition, low, low, position.committed, position.topic_id, anew=True)


def _is_forgotten(position: Position) -> bool:
    """Tell whether the deleted part of the state is older than what any state remembers."""
    return position.silence_ms is not None and position.silence_ms >= STATE_MEMORY_MS


def _where(position: Position, topic: str) -> str:
    return f"partition {position.partition} of {topic}"
