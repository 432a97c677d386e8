"""Find how far a flow came from its outputs: each of them names the input that it came from.

The newest output that stands on a topic tells the position where the broker has forgotten the
group's commit. Outputs and commit are one transaction, so nothing above it was ever written, and
inputs behind it that led to nothing (duplicates) lead to nothing again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec
from confluent_kafka import Consumer

from flows.connectors.kafka.lookup import Bounds, bounds, first_message, read_range, true_ends
from flows.connectors.kafka.positions import Offset, OutputsState
from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.decoding import decode_or_none
from schemas.ticks import Tick

# Messages that are looked at first, from a topic's end back; where none is ours, more.
_FIRST_SPAN = 1_000
_SPAN_GROWTH = 4
_LONGEST_SPAN = 16_000
# Newest outputs that are held against the input before the log is said to be another one: foreign
# messages may look like outputs.
_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """The input message that an output came from.

    Attributes
    ----------
    is_from
        Whether the input message with this payload is the one; it is another where the topic was
        recreated.
    """

    partition: int
    offset: int
    is_from: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class OutputTopic:
    """A topic that a flow writes.

    Attributes
    ----------
    origin
        Returns where a message came from; None for one that the flow has not written.
    main
        Whether nearly every input leads to a message here, and nobody else writes any: only then
        does an emptied topic tell that outputs were deleted.
    """

    name: str
    origin: Callable[[bytes], Origin | None]
    main: bool = False


class _Scored(msgspec.Struct):
    """The fields that a prediction and a feature row share with their tick."""

    symbol: str
    venue: str
    ts_event_ns: int
    partition: int
    offset: Offset


class _Evaluated(msgspec.Struct):
    """The fields of an outcome that name the prediction which made it known."""

    partition: int
    ts_known_ns: int
    known_offset: Offset


class _Closed(msgspec.Struct):
    """The fields of a candle that name the tick which closed it."""

    partition: int
    closed_offset: Offset


class _Timed(msgspec.Struct):
    ts_event_ns: int


_SCORED = msgspec.json.Decoder(_Scored)
_EVALUATED = msgspec.json.Decoder(_Evaluated)
_CLOSED = msgspec.json.Decoder(_Closed)
_DEAD_LETTER = msgspec.json.Decoder(DeadLetter)
_TICK = msgspec.json.Decoder(Tick)
_TIMED = msgspec.json.Decoder(_Timed)


def origin_of_scored(value: bytes) -> Origin | None:
    """Return the tick that a prediction or a feature row came from."""
    scored = decode_or_none(_SCORED.decode, value)
    if scored is None:
        return None

    def is_from(payload: bytes) -> bool:
        tick = decode_or_none(_TICK.decode, payload)
        return tick is not None and (tick.symbol, tick.venue, tick.ts_event_ns) == (
            scored.symbol,
            scored.venue,
            scored.ts_event_ns,
        )

    return Origin(scored.partition, scored.offset, is_from)


def origin_of_dead_letter(value: bytes) -> Origin | None:
    """Return the message of ``ticks.raw`` that a dead letter keeps; None for a feed's frame."""
    dead = decode_or_none(_DEAD_LETTER.decode, value)
    if dead is None or dead.topic != topics.TICKS_RAW or dead.partition is None:
        return None
    if dead.offset is None or dead.offset < 0:
        return None
    # A long payload is cut; a message without one is kept as no bytes.
    return Origin(dead.partition, dead.offset, lambda payload: payload.startswith(dead.payload))


def origin_of_outcome(value: bytes) -> Origin | None:
    """Return the prediction that made an outcome known."""
    evaluated = decode_or_none(_EVALUATED.decode, value)
    if evaluated is None:
        return None

    def is_from(payload: bytes) -> bool:
        # The outcome's time is that prediction's effective time, never before its own.
        timed = decode_or_none(_TIMED.decode, payload)
        return timed is not None and timed.ts_event_ns <= evaluated.ts_known_ns

    return Origin(evaluated.partition, evaluated.known_offset, is_from)


def origin_of_candle(value: bytes) -> Origin | None:
    """Return the tick that closed a candle."""
    closed = decode_or_none(_CLOSED.decode, value)
    if closed is None:
        return None
    # Any symbol's tick may close it, at any time: all that is known is that it is one.
    return Origin(
        closed.partition,
        closed.closed_offset,
        lambda payload: decode_or_none(_TICK.decode, payload) is not None,
    )


PIPELINE_OUTPUTS = (
    OutputTopic(topics.PREDICTIONS, origin_of_scored, main=True),
    OutputTopic(topics.TICKS_FEATURES, origin_of_scored),
    OutputTopic(topics.DEAD_LETTERS, origin_of_dead_letter),
)
OUTCOMES_OUTPUTS = (OutputTopic(topics.OUTCOMES, origin_of_outcome, main=True),)
CANDLES_OUTPUTS = (OutputTopic(topics.CANDLES, origin_of_candle, main=True),)


def main_output(outputs: Iterable[OutputTopic]) -> str | None:
    """Return the name of the flow's main output topic; None where no output is known."""
    return next((output.name for output in outputs if output.main), None)


def position_from_outputs(
    consumer: Consumer,
    topic: str,
    partition: int,
    log: Bounds,
    outputs: Sequence[OutputTopic],
    limit_s: float,
) -> int | OutputsState:
    """Return the offset behind the newest input that led to an output, or why there is none.

    Parameters
    ----------
    consumer
        Reads committed data and reports the end of a partition.
    topic, partition, log
        The input, and its bounds.
    limit_s
        The longest that the broker may keep silent.

    Raises
    ------
    KafkaException
        The broker refuses, or does not answer.
    """

    def is_from_here(origin: Origin) -> bool:
        if origin.offset >= log[1]:
            return False
        if origin.offset < log[0]:
            return True  # deleted, so that it cannot be compared
        place = (topic, partition, origin.offset, origin.offset + 1)
        message = first_message(consumer, *place, limit_s)
        return message is None or origin.is_from(message.value() or b"")

    found = {
        output: _newest(consumer, output, partition, is_from_here, limit_s) for output in outputs
    }
    states = set(found.values())
    reached = [state for state in states if isinstance(state, int)]
    if OutputsState.DELETED in states and log[1] not in reached:
        return OutputsState.DELETED
    if reached:
        return max(reached)
    return OutputsState.FOREIGN if OutputsState.FOREIGN in states else OutputsState.NONE


def _newest(
    consumer: Consumer,
    output: OutputTopic,
    partition: int,
    is_from_here: Callable[[Origin], bool],
    limit_s: float,
) -> int | OutputsState:
    """Look through one output topic from its end back."""
    low, high = bounds(consumer, output.name, partition, limit_s)
    end = true_ends(consumer, output.name, {partition: (low, high)})[partition]
    span = _FIRST_SPAN
    compared = 0
    while end > low:
        start = max(low, end - span)
        messages = list(read_range(consumer, output.name, partition, start, end, limit_s))
        origins = (output.origin(message.value() or b"") for message in reversed(messages))
        ours = (each for each in origins if each is not None and each.partition == partition)
        for origin in islice(ours, _CANDIDATES - compared):
            if is_from_here(origin):
                return origin.offset + 1
            compared += 1
        if compared == _CANDIDATES:
            return OutputsState.FOREIGN
        end, span = start, min(span * _SPAN_GROWTH, _LONGEST_SPAN)
    if compared:
        return OutputsState.FOREIGN
    return OutputsState.DELETED if low > 0 and output.main else OutputsState.NONE
