"""What every topic promises of its messages: their schema, their time, and what makes them one."""

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.numeric.time import NS_PER_S
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import UNREADABLE
from schemas.features import FEATURE_SET, FEATURES
from schemas.predictions import FeatureRow, Outcome, Prediction
from schemas.ticks import EARLIEST_NS, Candle


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is none of its topic's."""

    offset: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What the count needs to know of one usable message.

    Attributes
    ----------
    ts_ns
        Event time; None where the topic has none.
    series
        Whose messages stand in the order of their event times; None where nobody's do.
    identity
        What no other message of the partition may repeat; None where nothing is promised.
    rank
        A number that has to rise within a series, such as a trade's id; None where there is none.
    gap
        Whether messages are known to be lost before it.
    label
        What a message without a series is counted under.
    """

    offset: int
    ts_ns: int | None = None
    series: tuple[str, ...] | None = None
    identity: Hashable = None
    rank: int | None = None
    gap: bool = False
    label: str = ""


Read = Callable[[RawBatch], tuple[list[Fact], list[Refusal]]]


@dataclass(frozen=True, slots=True)
class Contract:
    """One topic's.

    Attributes
    ----------
    read
        Turns a batch of one partition into facts and refusals.
    exactly_once
        Whether a repeat breaks a promise; elsewhere those who read drop it.
    continuous
        Whether a running system always has something to say on it.
    """

    read: Read
    exactly_once: bool
    continuous: bool


def contract_of(topic: str) -> Contract | None:
    """Return a new contract of a topic, with a memory of its own; None for a topic of others."""
    make = _CONTRACTS.get(topic)
    return None if make is None else make()


def refusal_of(offset: int, value: bytes, error: Exception) -> Refusal:
    """Classify what decoding has raised."""
    if not value:
        return Refusal(offset, Reason.NOT_JSON, "the message has no value")
    if not isinstance(error, msgspec.ValidationError):
        return Refusal(offset, Reason.NOT_JSON, str(error) or type(error).__name__)
    missing = str(error).startswith("Object missing required field")
    return Refusal(offset, Reason.MISSING_FIELD if missing else Reason.WRONG_TYPE, str(error))


def _ticks() -> Contract:
    symbols = SymbolTable()

    def read(batch: RawBatch) -> tuple[list[Fact], list[Refusal]]:
        found, dead = decode(batch, symbols, topics.TICKS_RAW, frozenset())
        facts = [
            Fact(
                offset,
                ts_ns=tick.ts_event_ns,
                series=(tick.symbol, tick.venue),
                rank=tick.trade_id,
                gap=tick.gap,
            )
            for offset, tick in zip(found.offset.tolist(), found.ticks, strict=True)
        ]
        return facts, [Refusal(each.offset or 0, each.reason, each.detail) for each in dead]

    return Contract(read, exactly_once=False, continuous=True)


def _messages(
    kind: type[Any],
    fact: Callable[[int, Any], Fact],
    problem: Callable[[int, Any], tuple[str, str] | None] = lambda _partition, _message: None,
    *,
    exactly_once: bool = True,
    continuous: bool = True,
) -> Callable[[], Contract]:
    """Return the maker of a contract whose messages are decoded one by one.

    Parameters
    ----------
    fact
        Takes the offset and the message.
    problem
        Takes the partition and the message; returns a reason and its detail, or None.
    """
    decoder = msgspec.json.Decoder(kind)

    def read(batch: RawBatch) -> tuple[list[Fact], list[Refusal]]:
        facts, refused = [], []
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                message = decoder.decode(value)
            except UNREADABLE as error:
                refused.append(refusal_of(offset, value, error))
                continue
            found = problem(batch.partition, message)
            if found is None:
                facts.append(fact(offset, message))
            else:
                refused.append(Refusal(offset, *found))
        return facts, refused

    return lambda: Contract(read, exactly_once, continuous)


def _scored(offset: int, message: Prediction | FeatureRow | Outcome) -> Fact:
    return Fact(
        offset,
        ts_ns=message.ts_event_ns,
        series=(message.symbol, message.venue),
        identity=message.offset,
        gap=isinstance(message, Prediction) and message.gap,
    )


def _bad_lineage(
    partition: int, message: Prediction | FeatureRow | Outcome
) -> tuple[str, str] | None:
    """Return what is wrong with where a message says that it comes from, or with its content."""
    if message.partition != partition:
        detail = f"it names partition {message.partition} and lies in {partition}"
        return "wrong_partition", detail
    if message.ts_event_ns < EARLIEST_NS:
        return Reason.ANCIENT_TIME, f"ts_event_ns is {message.ts_event_ns}, before 2009"
    if isinstance(message, FeatureRow):
        if message.feature_set == FEATURE_SET and len(message.values) != len(FEATURES):
            return "wrong_length", f"{len(message.values)} values instead of {len(FEATURES)}"
        return None
    for target, score in message.scores.items():
        if not math.isfinite(score.score):
            return "bad_score", f"the score of {target} is {score.score}"
    return None


def _candle(offset: int, message: Candle) -> Fact:
    interval = f"{message.interval_s} s"
    return Fact(
        offset,
        ts_ns=message.ts_open_ns + message.interval_s * NS_PER_S,
        series=(message.symbol, message.venue, interval),
        identity=(message.symbol, message.venue, message.interval_s, message.ts_open_ns),
        gap=message.gap,
    )


def _bad_candle(_partition: int, message: Candle) -> tuple[str, str] | None:
    if message.interval_s <= 0 or message.ts_open_ns % (message.interval_s * NS_PER_S):
        detail = f"ts_open_ns {message.ts_open_ns} is no multiple of {message.interval_s} s"
        return "wrong_time", detail
    prices = (message.open, message.high, message.low, message.close)
    usable = all(math.isfinite(price) and price > 0 for price in prices)
    if not usable or message.low > min(prices) or message.high < max(prices):
        return Reason.BAD_PRICE, f"open, high, low, close are {prices}"
    return None


def _dead(offset: int, message: DeadLetter) -> Fact:
    origin = None
    if message.topic is not None:
        origin = (message.topic, message.partition, message.offset)
    return Fact(offset, identity=origin, label=str(message.reason))


def _redriven() -> Contract:
    def read(batch: RawBatch) -> tuple[list[Fact], list[Refusal]]:
        facts, refused = [], []
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            text = value.decode("utf-8", "replace")
            partition, dash, number = text.partition("-")
            if dash and partition.isdigit() and number.isdigit():
                facts.append(Fact(offset, identity=text))
            else:
                refused.append(Refusal(offset, "wrong_id", f"{text[:60]!r} is no id"))
        return facts, refused

    return Contract(read, exactly_once=True, continuous=False)


_CONTRACTS: Mapping[str, Callable[[], Contract]] = {
    topics.TICKS_RAW: _ticks,
    topics.TICKS_FEATURES: _messages(FeatureRow, _scored, _bad_lineage),
    topics.PREDICTIONS: _messages(Prediction, _scored, _bad_lineage),
    topics.OUTCOMES: _messages(Outcome, _scored, _bad_lineage),
    topics.CANDLES: _messages(Candle, _candle, _bad_candle),
    topics.DEAD_LETTERS: _messages(DeadLetter, _dead, continuous=False),
    topics.REDRIVEN: _redriven,
}
