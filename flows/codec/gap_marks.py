"""Gap marks of refused ticks, kept until the next usable tick of their symbol.

A tick with ``gap`` says that ticks were lost just before it. Where that tick itself becomes a dead
letter, the loss is no less true: the next usable tick of the symbol carries the mark instead.

Which tick that is depends on the log alone: a mark is kept for a fixed number of offsets, and only
the newest marks are kept. A run that starts between a refused tick and the one that took its mark
over would miss the mark: :meth:`GapMarks.rebuild_from` says where a run may start. A refused
message whose venue, symbol or gap cannot be read marks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.decoding import decode_or_none
from schemas.ticks import Symbol

Key = tuple[str, str]
"""Venue and symbol."""

KEPT_OFFSETS = 1_000_000
"""How far behind its dead letter a mark can be given to a tick, offsets of the partition."""

KEPT_MARKS = 4_096
"""How many marks of a partition wait at most; beyond it the oldest one is dropped."""

KEPT_SPANS = 4_096
"""How many spans between a refused tick and its successor are told apart at most."""


class _Marked(msgspec.Struct, frozen=True, gc=False):
    """What must be readable of a refused tick for its gap mark to be kept."""

    symbol: Symbol
    venue: Symbol
    gap: bool = False


class _Numbered(msgspec.Struct, frozen=True, gc=False):
    trade_id: int | None = None


_DECODE_MARKED = msgspec.json.Decoder(_Marked).decode
_DECODE_NUMBERED = msgspec.json.Decoder(_Numbered).decode


@dataclass(slots=True)
class GapMarks:
    """The marks of one partition that wait for a tick, and those that were taken over."""

    _keys: dict[int, Key] = field(default_factory=dict)  # by offset, oldest first
    _waiting: dict[Key, list[tuple[int, int | None]]] = field(default_factory=dict)
    # From a refused tick to the one that took its mark over, in the order of the latter.
    _spans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def keys(self) -> Sequence[Key]:
        """The pairs of venue and symbol that a mark waits for."""
        return list(self._waiting)

    def rebuild_from(self, features_from: int, next_offset: int) -> int:
        """Return where a run may start at the latest to find the same gaps from here on.

        Parameters
        ----------
        features_from
            Oldest offset that the features' state depends on.
        next_offset
            Where the next batch begins: older marks and spans are dropped.
        """
        start = min(features_from, next_offset)
        for offset in list(self._keys):
            if next_offset - offset <= KEPT_OFFSETS:
                start = min(start, offset)
                break
            self._drop(offset)
        for refused, taken in reversed(self._spans):
            if refused < start <= taken:
                start = refused
        self._spans = [span for span in self._spans if span[1] >= start]
        return start

    def add(self, offset: int, key: Key, trade_id: int | None) -> None:
        """Keep the mark of a refused tick."""
        self._keys[offset] = key
        self._waiting.setdefault(key, []).append((offset, trade_id))
        if len(self._keys) > KEPT_MARKS:
            self._drop(next(iter(self._keys)))

    def take(self, key: Key, offset: int, trade_id: int | None) -> bool:
        """Remove the marks that a usable tick takes over; return whether there were any.

        A tick with a lower id than the refused one lies before the loss and leaves the mark: it is
        a repetition, or comes from a second feed that has not lost anything yet.
        """
        taken = False
        for marked, marked_id in list(self._waiting.get(key, ())):
            if offset - marked > KEPT_OFFSETS:
                self._drop(marked)
            elif trade_id is None or marked_id is None or trade_id >= marked_id:
                self._drop(marked)
                self._spans.append((marked, offset))
                taken = True
        while len(self._spans) > KEPT_SPANS:
            (refused, _until), (other, until) = self._spans[:2]
            self._spans[:2] = [(min(refused, other), until)]
        return taken

    def _drop(self, offset: int) -> None:
        key = self._keys.pop(offset)
        left = [each for each in self._waiting[key] if each[0] != offset]
        if left:
            self._waiting[key] = left
        else:
            del self._waiting[key]


def gap_mark(payload: bytes, allowed: frozenset[str]) -> tuple[Key, int | None] | None:
    """Return whose gap a refused tick marks, and its trade id; None without a readable mark.

    If ``allowed`` is not empty, other symbols have no mark: none of their ticks is ever usable.
    """
    marked = decode_or_none(_DECODE_MARKED, payload)
    if marked is None or not marked.gap or (allowed and marked.symbol not in allowed):
        return None
    numbered = decode_or_none(_DECODE_NUMBERED, payload)
    return (marked.venue, marked.symbol), None if numbered is None else numbered.trade_id
