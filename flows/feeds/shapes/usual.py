"""The frames of a recording that are as usual: found by compiled code, noted as the processor does.

Everything that decides on a frame is asked, on whole columns: the venue's parser, the order and
continuity of its ids, silences, the checks of usable ticks. What any of them would do more with
than to pass one tick on is left, and so is all that is not of a known shape.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import msgspec
import numpy as np

from flows.codec.symbol_index import SymbolIndex
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import Messages
from flows.feeds.base import Frame, ParsedFrame, Parser
from flows.feeds.processor import FrameProcessor
from flows.feeds.shapes.columns import Columns, columns_of, leading
from flows.feeds.shapes.learning import FLOAT_NAMES, INTEGER_NAMES, Fields, Shape, learn, slot
from flows.feeds.shapes.scanner import FLOATS, INTEGERS, NO_SHAPE, Scan, Scanned, Shapes
from flows.numeric.arrays import Int64
from schemas.decoding import UNREADABLE
from schemas.ticks import Tick

MOST_SHAPES = 64
MOST_TRIES = 1_000
TRIES_A_BLOCK = 8

_SIDE = INTEGER_NAMES.index("side")
_STATED = 2
"""In the place of a side: it is read from the line."""

_COMPARED = ("ts_event_ns", "ts_recv_ns", "trade_id", "sequence")


class ShapedParser(Parser, Protocol):
    """A parser some of whose frames are one tick each, told by the frame alone.

    Attributes
    ----------
    fields
        Which values of such a frame vary.
    complete
        As of :class:`flows.feeds.base.ParsedFrame`.
    """

    fields: Fields
    complete: bool

    def usual(self, run: Columns) -> int:
        """Return how many of the first frames are a tick with what they state, and no more."""
        ...

    def note(self, run: Columns) -> None:
        """Keep of usual frames what :meth:`parse` would."""
        ...


class UsualFrames:
    """Finds the usual frames of one recording.

    Parameters
    ----------
    processor
        Of the recording's frames; what is found is noted there.
    new_parser
        Returns a parser that has seen nothing, to learn shapes by.
    symbols
        The log's numbers.
    form
        Returns the compiled code, None as long as it is not there.
    """

    def __init__(
        self,
        processor: FrameProcessor,
        new_parser: Callable[[], Parser],
        symbols: SymbolTable,
        form: Callable[[], Scan | None],
    ) -> None:
        self._processor = processor
        self._new_parser = new_parser
        self._symbols = symbols
        self._index = SymbolIndex(symbols)
        self._form = form
        self._fields: Fields | None = getattr(new_parser(), "fields", None)
        slots = () if self._fields is None else self._fields.read.values()
        self._stamped = slot("ts_recv_ns") in slots
        self._venue = new_parser().venue.encode()
        self._shapes: list[Shape] = []
        self._sides: list[int] = []
        self._tries = 0
        self._decode = msgspec.json.Decoder(Frame).decode

    def scan(self, data: bytes, ends: Int64) -> Scanned | None:
        """Return the columns of lines; None where none can be found.

        Parameters
        ----------
        data
            Lines, each with its end.
        ends
            int64, shape (n,): where the line feeds are.
        """
        form = None if self._fields is None else self._form()
        if form is None:
            return None
        scanned = self._scan(form, data, ends)
        if self._learn(form, data, ends, scanned):
            scanned = self._scan(form, data, ends)
        return scanned if self._shapes else None

    def take(self, scanned: Scanned, first: int, stop: int) -> Columns:
        """Return the usual frames from a row on up to the first that is not, or up to ``stop``."""
        stop = first + leading(scanned.shape[first:stop] != NO_SHAPE)
        found = self._columns(scanned, slice(first, stop))
        found = found.first(leading(found.plain()))
        return found.first(self._processor.follow(found))

    def _columns(self, scanned: Scanned, rows: slice) -> Columns:
        sides = np.array(self._sides, np.int8)[scanned.shape[rows]]
        integers = scanned.integers[:, rows]
        found = columns_of(
            self._symbols,
            scanned.symbol_id[rows],
            integers,
            scanned.floats[:, rows],
            np.where(sides == _STATED, integers[_SIDE], sides).astype(np.int8),
        )
        # The simulator's frames tell it themselves.
        return found if self._stamped else replace(found, ts_recv_ns=found.received_ns)

    def _scan(self, form: Scan, data: bytes, ends: Int64) -> Scanned:
        self._index.refresh()
        count = len(ends)
        scanned = Scanned(
            shape=np.full(count, NO_SHAPE, np.int64),
            symbol_id=np.zeros(count, np.int64),
            floats=np.zeros((FLOATS, count)),
            integers=np.zeros((INTEGERS, count), np.int64),
        )
        if self._shapes:
            lines = Messages(np.frombuffer(data + self._venue, np.uint8), ends)
            form(lines, _arrays(tuple(self._shapes)), self._index.names, len(self._venue), scanned)
        return scanned

    def _learn(self, form: Scan, data: bytes, ends: Int64, scanned: Scanned) -> bool:
        """Add shapes of lines that are left; return whether there are new ones."""
        left = np.flatnonzero(scanned.shape == NO_SHAPE)
        known = len(self._shapes)
        for row in left[:: max(1, len(left) // TRIES_A_BLOCK)].tolist():
            if self._tries >= MOST_TRIES or len(self._shapes) >= MOST_SHAPES:
                break
            self._tries += 1
            first = int(ends[row - 1]) + 1 if row else 0
            self._add(form, data[first : int(ends[row])])
        return len(self._shapes) > known

    def _add(self, form: Scan, line: bytes) -> None:
        """Add the shape of a line if the compiled code reads the line as the parser does."""
        shape = learn(line, self._fields) if self._fields is not None else None
        tick = None if shape is None or shape in self._shapes else self._parsed(line)
        if shape is None or tick is None:
            return
        symbols = SymbolTable()
        symbols.intern(tick.venue, tick.symbol)
        other = UsualFrames(self._processor, self._new_parser, symbols, self._form)
        other._shapes, other._sides = [shape], [_side_of(shape, tick)]
        scanned = other._scan(form, line + b"\n", np.array([len(line)], np.int64))
        if scanned.shape[0] != NO_SHAPE and other._is(tick, other._columns(scanned, slice(0, 1))):
            self._shapes.append(shape)
            self._sides.append(other._sides[0])

    def _parsed(self, line: bytes) -> Tick | None:
        """Return the tick of a line if the parser makes nothing else of it."""
        parser = self._new_parser()
        try:
            parsed = parser.parse(self._decode(line))
        except UNREADABLE:
            return None
        complete = getattr(parser, "complete", False)
        plain = ParsedFrame(parsed.ticks, parsed.dead, complete=complete)
        if len(parsed.ticks) != 1 or parsed.dead or parsed != plain:
            return None
        tick = parsed.ticks[0]
        return None if tick.gap or tick.venue.encode() != self._venue else tick

    def _is(self, tick: Tick, found: Columns) -> bool:
        """Return whether the one row is a tick."""
        integers = {name: int(getattr(found, name)[0]) for name in _COMPARED}
        floats = {name: float(getattr(found, name)[0]) for name in FLOAT_NAMES}
        return (
            all(max(value, 0) == (getattr(tick, name) or 0) for name, value in integers.items())
            and all(
                np.isnan(value) if getattr(tick, name) is None else value == getattr(tick, name)
                for name, value in floats.items()
            )
            and int(found.side[0]) == tick.side
        )


def _side_of(shape: Shape, tick: Tick) -> int:
    return _STATED if shape.has("side") else tick.side


@lru_cache(maxsize=64)
def _arrays(shapes: tuple[Shape, ...]) -> Shapes:
    text = b""
    parts: list[tuple[int, int, int, int]] = []
    starts = [0]
    for shape in shapes:
        for literal, (kind, column) in shape.parts:
            parts.append((len(text), len(text) + len(literal), kind, column))
            text += literal
        starts.append(len(parts))
    return Shapes(
        np.frombuffer(text, np.uint8), np.array(parts, np.int64), np.array(starts, np.int64)
    )
