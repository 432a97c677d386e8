"""Whose gap a refused tick marks, and which later tick takes the mark over."""

import msgspec

from schemas.ticks import Tick

KEPT_OFFSETS = 1_000_000
KEPT_MARKS = 4_096
_LONGEST_NAME = 64

Key = tuple[str, str]


class _Fields(msgspec.Struct):
    symbol: msgspec.Raw
    venue: msgspec.Raw
    gap: msgspec.Raw = msgspec.Raw(b"false")
    trade_id: msgspec.Raw = msgspec.Raw(b"null")


class Marks:
    """The marks of one partition, as a plain list in offset order: (offset, key, trade id)."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._waiting: list[tuple[int, Key, int | None]] = []

    def refuse(self, offset: int, value: bytes) -> None:
        """Remember the mark of a refused message, if it has one that can be read."""
        try:
            found = msgspec.json.decode(value, type=_Fields)
            symbol = msgspec.json.decode(found.symbol, type=str)
            venue = msgspec.json.decode(found.venue, type=str)
            gap = msgspec.json.decode(found.gap)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if self._allowed and symbol not in self._allowed:
            return
        if gap is not True or not all(1 <= len(each) <= _LONGEST_NAME for each in (symbol, venue)):
            return
        self._waiting.append((offset, (venue, symbol), _number(found.trade_id)))
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


def _number(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=int | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
