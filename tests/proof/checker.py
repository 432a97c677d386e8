"""Compare output topics with what the oracle expects, message by message."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from schemas import topics
from schemas.dead_letters import DeadLetter
from schemas.predictions import FeatureRow, Prediction
from tests.oracle.expectation import Expected, Origin
from tests.support.kafka.tools import Message

Kind = Literal["missing", "twice", "different", "out_of_order", "wrong_partition"]
KINDS: tuple[Kind, ...] = ("missing", "twice", "different", "out_of_order", "wrong_partition")


@dataclass(frozen=True)
class Defect:
    """One thing that should not be."""

    kind: Kind
    topic: str
    origin: Origin
    detail: str

    def __str__(self) -> str:
        partition, offset = self.origin
        return f"{self.kind}: {self.topic} for ticks.raw[{partition}]@{offset}: {self.detail}"


@dataclass
class Outputs:
    """The output topics as read: committed messages in each partition's order."""

    predictions: list[Message] = field(default_factory=list)
    features: list[Message] = field(default_factory=list)
    dead_letters: list[Message] = field(default_factory=list)


def check(expected: Expected, outputs: Outputs, *, with_features: bool = True) -> Iterator[Defect]:
    """Yield every defect of the outputs but those of scores and feature values.

    These two have checks of their own: ``scores.check_scores``, ``values.check_values`` and
    ``check_same_bytes``.
    """
    yield from _check_predictions(expected, outputs.predictions)
    if with_features:
        yield from _check_features(expected, outputs.features)
    yield from _check_letters(expected, outputs.dead_letters)


def check_same_bytes(ours: Iterable[Message], reference: Iterable[Message]) -> Iterator[Defect]:
    """Yield feature rows that are not byte for byte those of an uninterrupted run."""
    topic = topics.TICKS_FEATURES
    wanted = {_origin_of(message.value): message.value for message in reference}
    for message in ours:
        origin = _origin_of(message.value)
        if origin not in wanted:
            yield Defect("different", topic, origin, "the uninterrupted run has no such row")
        elif wanted[origin] != message.value:
            detail = _first_difference(message.value, wanted[origin])
            yield Defect("different", topic, origin, f"not as uninterrupted: {detail}")


def count(defects: Iterable[Defect]) -> dict[Kind, int]:
    """Return the number of defects of each kind."""
    counts = Counter(defect.kind for defect in defects)
    return {kind: counts[kind] for kind in KINDS}


class _Lineage(msgspec.Struct):
    partition: int
    offset: int


_LINEAGE = msgspec.json.Decoder(_Lineage)
_ROW = msgspec.json.Decoder(FeatureRow)


def _origin_of(value: bytes) -> Origin:
    lineage = _LINEAGE.decode(value)
    return lineage.partition, lineage.offset


def _first_difference(ours: bytes, reference: bytes) -> str:
    row, wanted = _ROW.decode(ours), _ROW.decode(reference)
    for index, (value, right) in enumerate(zip(row.values, wanted.values, strict=False)):
        if value != right:
            return f"values[{index}] is {value!r}, uninterrupted {right!r}"
    return f"{ours[:80]!r} against {reference[:80]!r}"


def _check_predictions(expected: Expected, messages: Iterable[Message]) -> Iterator[Defect]:
    topic = topics.PREDICTIONS
    book = _Book(topic, expected.rows)
    for message in messages:
        found, defect = _decoded(message, Prediction, topic)
        if defect:
            yield defect
            continue
        origin = (found.partition, found.offset)
        yield from book.enter(origin, message)
        row = expected.rows.get(origin)
        if row is not None:
            yield from _compare(topic, origin, found, row.prediction_fields(origin))
            yield from _check_key(topic, origin, message.key, row.key)
            if not found.scores:
                yield Defect("different", topic, origin, "no score at all")
            if found.ts_scored_ns <= 0:
                yield Defect("different", topic, origin, f"ts_scored_ns {found.ts_scored_ns}")
    yield from book.missing()


def _check_features(expected: Expected, messages: Iterable[Message]) -> Iterator[Defect]:
    topic = topics.TICKS_FEATURES
    book = _Book(topic, expected.rows)
    for message in messages:
        found, defect = _decoded(message, FeatureRow, topic)
        if defect:
            yield defect
            continue
        origin = (found.partition, found.offset)
        yield from book.enter(origin, message)
        row = expected.rows.get(origin)
        if row is not None:
            yield from _compare(topic, origin, found, row.feature_fields(origin))
            yield from _check_key(topic, origin, message.key, row.key)
    yield from book.missing()


def _check_letters(expected: Expected, messages: Iterable[Message]) -> Iterator[Defect]:
    topic = topics.DEAD_LETTERS
    book = _Book(topic, expected.dead_letters)
    for message in messages:
        found, defect = _decoded(message, DeadLetter, topic)
        if defect:
            yield defect
            continue
        if found.partition is None or found.offset is None or found.topic != topics.TICKS_RAW:
            yield Defect("different", topic, (-1, -1), f"origin {found.topic} {found.offset}")
            continue
        origin = (found.partition, found.offset)
        yield from book.enter(origin, message)
        letter = expected.dead_letters.get(origin)
        if letter is None:
            continue
        yield from _check_key(topic, origin, message.key, None)
        if found.reason not in letter.reasons:
            wanted = " or ".join(sorted(letter.reasons))
            yield Defect("different", topic, origin, f"reason {found.reason}, expected {wanted}")
        if found.payload != letter.payload:
            yield Defect("different", topic, origin, "not the raw bytes")
        if not found.detail:
            yield Defect("different", topic, origin, "no detail")
    yield from book.missing()


class _Book:
    """Which origins were seen on one topic, and where."""

    def __init__(self, topic: str, wanted: Mapping[Origin, object]) -> None:
        self.topic = topic
        self.wanted = wanted
        self.seen: set[Origin] = set()
        self.furthest: dict[int, int] = {}

    def enter(self, origin: Origin, message: Message) -> Iterator[Defect]:
        """Note an output, and say what is wrong with its place."""
        partition, offset = origin
        where = f"at {self.topic}[{message.partition}]@{message.offset}"
        if origin not in self.wanted:
            yield Defect("different", self.topic, origin, f"{where}: there should be none")
            return
        if message.partition != partition:
            yield Defect("wrong_partition", self.topic, origin, where)
        if origin in self.seen:
            yield Defect("twice", self.topic, origin, f"again {where}")
        elif offset < self.furthest.get(message.partition, -1):
            behind = self.furthest[message.partition]
            yield Defect("out_of_order", self.topic, origin, f"{where}, after offset {behind}")
        self.seen.add(origin)
        self.furthest[message.partition] = max(offset, self.furthest.get(message.partition, -1))

    def missing(self) -> Iterator[Defect]:
        """Yield what never came."""
        for origin in self.wanted:
            if origin not in self.seen:
                yield Defect("missing", self.topic, origin, "no output")


def _decoded(message: Message, kind: type[Any], topic: str) -> tuple[Any, Defect | None]:
    try:
        return msgspec.json.decode(message.value, type=kind), None
    except msgspec.MsgspecError as error:
        where = (message.partition, message.offset)
        return None, Defect("different", topic, where, f"not a {kind.__name__}: {error}")


def _compare(
    topic: str, origin: Origin, found: object, wanted: Mapping[str, object]
) -> Iterator[Defect]:
    for name, value in wanted.items():
        ours = getattr(found, name)
        if ours != value:
            yield Defect("different", topic, origin, f"{name} is {ours!r}, expected {value!r}")


def _check_key(
    topic: str, origin: Origin, key: bytes | None, wanted: bytes | None
) -> Iterator[Defect]:
    if key != wanted:
        yield Defect("different", topic, origin, f"key {key!r}, expected {wanted!r}")


def first_of_each(defects: Iterable[Defect], most: int = 5) -> list[Defect]:
    """Return a few examples of every kind and topic, for a report."""
    ordered = sorted(defects, key=lambda defect: (defect.kind, defect.topic, defect.origin))
    groups = itertools.groupby(ordered, key=lambda defect: (defect.kind, defect.topic))
    return [defect for _, group in groups for defect in itertools.islice(group, most)]


__all__ = [
    "KINDS",
    "Defect",
    "Kind",
    "Outputs",
    "check",
    "check_same_bytes",
    "count",
    "first_of_each",
]
