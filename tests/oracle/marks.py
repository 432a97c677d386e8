"""Whose gap a refused tick marks, and which later tick takes the mark over."""

from typing import TypeVar

import msgspec

from schemas.ticks import Tick

KEPT_OFFSETS = 1_000_000
KEPT_MARKS = 4_096
_LONGEST_NAME = 64

Key = tuple[str, str]
T = TypeVar("T")


class _Fields(msgspec.Struct):
    """What must be readable, also where an object says a field twice."""

    symbol: str
    venue: str
    gap: bool = False


class _Number(msgspec.Struct):
    trade_id: int | None = None


class Marks:
    """The marks of one partition, as a plain list in offset order: (offset, key, trade id)."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._waiting: list[tuple[int, Key, int | None]] = []

    def refuse(self, offset: int, value: bytes) -> None:
        """Remember the mark of a refused message, if it has one that can be read."""
        found = _decoded(value, _Fields)
        if found is None or not found.gap:
            return
        if self._allowed and found.symbol not in self._allowed:
            return
        if not all(1 <= len(each) <= _LONGEST_NAME for each in (found.symbol, found.venue)):
            return
        number = _decoded(value, _Number)
        trade_id = None if number is None else number.trade_id
        self._waiting.append((offset, (found.venue, found.symbol), trade_id))
        self._waiting = self._waiting[-KEPT_MARKS:]

    def accept(self, offset: int, tick: Tick) -> bool:
        """Return whether a usable tick takes a mark over."""
        self._waiting = [each for each in self._waiting if offset - each[0] <= KEPT_OFFSETS]
        taken = [
            (marked, key, marked_id)
            for marked, key, marked_id in self._waiting
            if key == (tick.venue, tick.symbol)
            and (tick.trade_id is None or marked_id is None or tick.trade_id >= marked_id)
        ]
        self._waiting = [each for each in self._waiting if each not in taken]
        return bool(taken)


def _decoded(value: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
