"""A symbol table as arrays, in which compiled code finds a symbol's number by its bytes."""

from dataclasses import dataclass, field

import numpy as np

from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import (
    EXACT_POWER,
    HASH_FACTOR,
    HASH_MASK,
    KINDS,
    NAMES,
    UNKNOWN,
    Names,
)
from flows.numeric.arrays import Int32, Int64

_SMALLEST = 16
_WITHOUT_NULL = {"symbol", "venue", "ts_event_ns", "price", "side", "gap"}
_WORDS = (b"null", b"true", b"false")


@dataclass(slots=True)
class SymbolIndex:
    """What :mod:`flows.codec.tick_parser` looks up, for one table."""

    symbols: SymbolTable
    names: Names = field(init=False)
    _read: int = 0

    def __post_init__(self) -> None:
        keys = [*(name.encode() for name in NAMES), *_WORDS]
        self.names = Names(
            keys=np.frombuffer(b"".join(keys), np.uint8),
            key_starts=np.cumsum([0, *map(len, keys)], dtype=np.int64),
            kinds=_kinds(),
            powers=np.array([10.0**n for n in range(EXACT_POWER + 1)]),
            slots=np.full(_SMALLEST, UNKNOWN, np.int32),
            entries=np.zeros((_SMALLEST, 4), np.int32),
            text=np.frombuffer(b"", np.uint8),
        )

    def refresh(self) -> None:
        """Add what the table has learned."""
        learned = self.symbols.learned
        if self._read == len(learned):
            return
        new = [self.symbols.names[number] for number in learned[self._read :]]
        encoded = [(venue.encode(), symbol.encode()) for venue, symbol in new]
        first, text = self._read, self.names.text.tobytes()
        entries = _longer(self.names.entries, len(learned))
        for row, (venue, symbol) in enumerate(encoded, first):
            between = len(text) + len(venue)
            entries[row] = (learned[row], len(text), between, between + len(symbol))
            text += venue + symbol
        self._read = len(learned)
        self.names = self.names._replace(
            entries=entries,
            text=np.frombuffer(text, np.uint8),
            slots=_slots(self.names.slots, text, entries, first, self._read),
        )


def _kinds() -> Int64:
    alike = {kind: [name for name in KINDS if KINDS[name] == kind] for kind in KINDS.values()}
    rows = [
        (KINDS[name], alike[KINDS[name]].index(name), name not in _WITHOUT_NULL) for name in NAMES
    ]
    return np.array(rows, np.int64)


def _longer(entries: Int32, rows: int) -> Int32:
    longer = np.zeros((max(rows, _SMALLEST), 4), np.int32)
    longer[: min(len(entries), rows)] = entries[:rows]
    return longer


def _slots(before: Int32, text: bytes, entries: Int32, first: int, count: int) -> Int32:
    """Return the open-addressed table with the rows from ``first`` on, at most half full."""
    slots = before.copy()
    if len(slots) < 2 * count:
        first = 0
        slots = np.full(1 << (2 * count).bit_length(), UNKNOWN, np.int32)
    mask = len(slots) - 1
    for row in range(first, count):
        _number, begins, _between, ends = entries[row].tolist()
        slot = hash_of(text[begins:ends]) & mask
        while slots[slot] != UNKNOWN:
            slot = (slot + 1) & mask
        slots[slot] = row
    return slots


def hash_of(text: bytes) -> int:
    """Return what compiled code makes of the same bytes."""
    value = 0
    for byte in text:
        value = ((value ^ byte) * HASH_FACTOR) & HASH_MASK
    return value
