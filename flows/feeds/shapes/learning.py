"""Learn how a recording's frames are made: the text that stays, and the values between.

A shape is made of one line. Values of the fields that are read vary, as do those of fields that the
venue's parser skips; all else is text that a line of this shape must have, byte for byte: keys,
punctuation, spaces, constants such as a frame's type, and null. So a line of a shape is parsed like
the one that it was learned from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flows.feeds.shapes.scanner import (
    END,
    FLOAT,
    INTEGER,
    SIDE,
    SKIPPED_NUMBER,
    SKIPPED_TEXT,
    SYMBOL,
    TIME,
)

Path = tuple[str | int, ...]
"""Where in a frame a value is: keys and places in lists."""

Slot = tuple[int, int]
"""Kind of a value, and the column that it goes to."""

FLOAT_NAMES = ("price", "size", "bid", "ask", "bid_size", "ask_size")
INTEGER_NAMES = ("ts_event_ns", "ts_recv_ns", "trade_id", "sequence", "side", "received_ns")
RECEIVED = INTEGER_NAMES.index("received_ns")

_LINE = re.compile(rb'\{"ts_recv_ns": ?([0-9]+|null), ?"frame": ?"((?:[ !#-\[\]-~]|\\")*)"\}')
_SPACE = re.compile(r" *")
_TEXT = re.compile(r'"([ !#-\[\]-~]*)"')
_SCALAR = re.compile(r'"[ !#-\[\]-~]*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null')
_DEEPEST = 6


class UnusualError(Exception):
    """A frame of which no shape can be made."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Which values of a venue's usual frame vary.

    Attributes
    ----------
    read
        Slot of each value that the parser reads.
    constant
        Values that decide what a frame is: their text stays.
    """

    read: Mapping[Path, Slot]
    constant: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Shape:
    """Text and the slot behind it, by turns; behind the last text nothing follows (``END``)."""

    parts: tuple[tuple[bytes, Slot], ...]

    def has(self, name: str) -> bool:
        """Return whether a column's value is in the line; it is null or left out otherwise."""
        kinds = (FLOAT,) if name in FLOAT_NAMES else (INTEGER, SIDE, TIME)
        names = FLOAT_NAMES if name in FLOAT_NAMES else INTEGER_NAMES
        return any(kind in kinds and names[column] == name for _, (kind, column) in self.parts)


def slot(name: str) -> Slot:
    """Return the slot of a column; of ``ts_event_ns`` as a number, not as text."""
    if name in FLOAT_NAMES:
        return FLOAT, FLOAT_NAMES.index(name)
    return (SIDE if name == "side" else INTEGER), INTEGER_NAMES.index(name)


SYMBOL_SLOT: Slot = (SYMBOL, 0)
TIME_SLOT: Slot = (TIME, INTEGER_NAMES.index("ts_event_ns"))


def learn(line: bytes, fields: Fields) -> Shape | None:
    """Return the shape of a line of a recording, without its end; None if it has none."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    text = found[2].replace(b'\\"', b'"').decode()
    values: list[tuple[Path, int, int]] = []
    try:
        if _read(text, 0, (), values) != len(text):
            return None
        slots = [_slot_of(path, text[first:last], fields) for path, first, last in values]
    except (UnusualError, IndexError):
        return None
    parts: list[tuple[bytes, Slot]] = []
    head = line[: found.start(2)]
    if found[1] != b"null":
        parts.append((line[: found.start(1)], (INTEGER, RECEIVED)))
        head = line[found.end(1) : found.start(2)]
    at = 0
    for (_, first, last), kind in zip(values, slots, strict=True):
        if kind is None:
            continue
        quoted = text[first] == '"'
        parts.append((head + _escaped(text[at : first + quoted]), kind))
        head, at = b"", last - quoted
    parts.append((head + _escaped(text[at:]) + line[found.end(2) :], (END, 0)))
    return Shape(tuple(parts))


def _slot_of(path: Path, value: str, fields: Fields) -> Slot | None:
    """Return the slot of a value; None where its text stays."""
    if path in fields.constant or value in {"null", "true", "false"}:
        return None
    read = fields.read.get(path)
    if read is not None:
        if (value[0] == '"') < (read[0] in {SYMBOL, TIME}):
            raise UnusualError
        return read
    return (SKIPPED_TEXT if value[0] == '"' else SKIPPED_NUMBER), 0


def _escaped(text: str) -> bytes:
    return text.encode().replace(b'"', b'\\"')


def _read(text: str, at: int, path: Path, values: list[tuple[Path, int, int]]) -> int:
    """Note the values of a JSON text from a place on; return where it ends."""
    if len(path) > _DEEPEST:
        raise UnusualError
    if text[at] == "[":
        return _read_list(text, at, path, values)
    if text[at] == "{":
        return _read_object(text, at, path, values)
    found = _SCALAR.match(text, at)
    if found is None:
        raise UnusualError
    values.append((path, at, found.end()))
    return found.end()


def _read_list(text: str, at: int, path: Path, values: list[tuple[Path, int, int]]) -> int:
    at = _after_space(text, at + 1)
    number = 0
    while text[at] != "]":
        if number:
            at = _after(text, at, ",")
        at = _after_space(text, _read(text, at, (*path, number), values))
        number += 1
    return at + 1


def _read_object(text: str, at: int, path: Path, values: list[tuple[Path, int, int]]) -> int:
    at = _after_space(text, at + 1)
    keys: set[str] = set()
    while text[at] != "}":
        if keys:
            at = _after(text, at, ",")
        key = _TEXT.match(text, at)
        if key is None or key[1] in keys:
            raise UnusualError
        keys.add(key[1])
        at = _after(text, _after_space(text, key.end()), ":")
        at = _after_space(text, _read(text, at, (*path, key[1]), values))
    return at + 1


def _after(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise UnusualError
    return _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
