"""Small numbers for the symbols of one partition."""

from dataclasses import dataclass, field

import numpy as np

from flows.codec.gap_marks import GapMarks, Key
from flows.numeric.arrays import Int32, Int64

_NEVER = -1


@dataclass(slots=True)
class SymbolTable:
    """What decoding a partition remembers: numbers of symbols, and gap marks that wait.

    Numbers are small integers for (venue, symbol) pairs, in order of appearance. A table only
    grows; :meth:`trimmed` returns another one, so that what was decoded with this one is read with
    this one.

    Attributes
    ----------
    ids
        Number of each pair.
    by_venue
        The same by venue, then symbol: a lookup that makes no tuple.
    names
        Pair of each number.
    learned
        The numbers, in the order in which this table got them.
    gap_marks
        Marks of refused ticks, for the next usable tick of their symbol.
    """

    ids: dict[Key, int] = field(default_factory=dict)
    by_venue: dict[str, dict[str, int]] = field(default_factory=dict)
    names: list[Key] = field(default_factory=list)
    learned: list[int] = field(default_factory=list)
    gap_marks: GapMarks = field(default_factory=GapMarks)
    _free: list[int] = field(default_factory=list)
    _seen: Int64 = field(default_factory=lambda: np.empty(0, np.int64))

    def intern(self, venue: str, symbol: str) -> int:
        """Return the pair's number, giving it one at first sight."""
        key = (venue, symbol)
        number = self.ids.get(key)
        if number is None:
            if self._free:
                number = self._free.pop()
                self.names[number] = key
            else:
                number = len(self.names)
                self.names.append(key)
            self.ids[key] = number
            self.by_venue.setdefault(venue, {})[symbol] = number
            self.learned.append(number)
        return number

    def see(self, symbol_id: Int32, offset: Int64) -> None:
        """Remember which symbols had a tick last.

        Parameters
        ----------
        symbol_id, offset
            int32 and int64, shape (n,): all ticks of a batch, by rising offset.
        """
        missing = len(self.names) - len(self._seen)
        if missing > 0:
            room = np.full(max(missing, len(self._seen)), _NEVER, np.int64)
            self._seen = np.concatenate([self._seen, room])
        self._seen[symbol_id] = offset  # the last assignment to a number stays

    def trimmed(self, max_symbols: int) -> "SymbolTable":
        """Return this table, or one of the ``max_symbols`` that had a tick most recently.

        A symbol that is left out has seen so many others since its last tick that its memory has
        ended (``flows.numeric.recency``). So its number may stand for another one, which begins
        without memory. Seldom, so that it costs next to nothing: at twice as many.
        """
        if len(self.ids) <= 2 * max_symbols:
            return self
        numbers = np.fromiter(self.ids.values(), np.int64, len(self.ids))
        recent = np.argsort(self._seen[numbers], kind="stable")[-max_symbols:]
        kept = np.sort(numbers[recent]).tolist()
        table = SymbolTable(
            names=list(self.names), gap_marks=self.gap_marks, _seen=self._seen.copy()
        )
        for number in kept:
            venue, symbol = self.names[number]
            table.ids[venue, symbol] = number
            table.by_venue.setdefault(venue, {})[symbol] = number
        table.learned = kept
        table._free = sorted(set(range(len(self.names))) - set(kept), reverse=True)
        return table

    def left_out(self) -> list[int]:
        """Return the numbers that stand for no symbol, or for one that came after them."""
        return list(self._free)
