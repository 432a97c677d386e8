"""Raw messages to columns: what is usable goes on as a batch, the rest becomes dead letters.

Compiled code takes what is usual, once it is there (:mod:`flows.codec.tick_parser`); msgspec
decides on the rest and, until then, on all. Ranges are checked on whole columns.
"""

import contextlib
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flows.codec.batch import NO_TRADE_ID, RawBatch, TickBatch
from flows.codec.foreign import looks_like
from flows.codec.gap_marks import gap_mark
from flows.codec.parsed_ticks import ParsedTicks, TickParser
from flows.codec.symbols import SymbolTable
from flows.codec.tick_parser import UNKNOWN
from flows.codec.validity import defects, explain, latest_credible_ns
from flows.numeric.arrays import Bool, Int32, Int64
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import UNREADABLE
from schemas.ticks import Tick

MAX_BYTES = 64 * 1024
_SHOWN = 64

# Type of each column, and how to read its values. Nothing but a null is refused by the types.
_COLUMNS: dict[str, tuple[type[np.generic], Callable[[Tick], Any]]] = {
    name: (dtype, attrgetter(name))
    for dtype, names in (
        (np.float64, ("price", "size", "bid", "ask", "bid_size", "ask_size")),
        (np.int64, ("ts_event_ns", "ts_recv_ns", "trade_id")),
        (np.int8, ("side",)),
        (np.bool_, ("gap",)),
    )
    for name in names
}

_TICK = msgspec.json.Decoder(Tick)
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PATH = re.compile(r" - at `\$\.?(?P<field>\w+)?.*`$")


@dataclass(slots=True)
class _Found:
    """What of a batch could be decoded, with a dead letter for each other message.

    Attributes
    ----------
    columns
        Those of :class:`flows.codec.batch.TickBatch`, and ``ts_recv_ns``, -1 for null.
    symbol_id
        int64: the symbol's number, ``UNKNOWN`` where that is still to be looked up.
    positions
        Where in the batch the rows are; None: all of it.
    ticks
        Decoded messages, by row; compiled code makes none.
    values
        The batch's.
    """

    columns: dict[str, npt.NDArray[Any]]
    symbol_id: Int64
    positions: list[int] | None
    ticks: dict[int, Tick]
    values: list[bytes]
    dead: list[DeadLetter]

    def __len__(self) -> int:
        return len(self.symbol_id)

    def place(self, row: int) -> int:
        """Return where in the batch a row is."""
        return row if self.positions is None else self.positions[row]

    def tick(self, row: int) -> Tick:
        """Return the tick of a row."""
        found = self.ticks.get(row)
        return _TICK.decode(self.values[self.place(row)]) if found is None else found


def decode(
    raw: RawBatch,
    symbols: SymbolTable,
    topic: str,
    allowed: frozenset[str],
    parser: TickParser | None = None,
) -> tuple[TickBatch, list[DeadLetter]]:
    """Decode and check a batch.

    Parameters
    ----------
    symbols
        The partition's table; symbols of usable ticks are added to it.
    topic
        Where the batch came from, for the dead letters.
    allowed
        If not empty, ticks of other symbols are refused.
    parser
        Takes what it can by compiled code: the batch then has columns, and no ``ticks``.

    Returns
    -------
    The usable ticks, and a dead letter for each other message, both in offset order.
    """
    parsed = None if parser is None else parser(raw.values, symbols)
    found = _by_msgspec(raw, topic) if parsed is None else _by_parser(raw, topic, parsed)
    columns, dead, positions = found.columns, found.dead, found.positions
    offsets, timestamps_ms = _offsets(raw), np.array(raw.timestamps_ms, np.int64)
    if positions is not None:
        offsets, timestamps_ms = offsets[positions], timestamps_ms[positions]
    columns["offset"] = offsets
    reasons = defects(columns, latest_credible_ns(columns.pop("ts_recv_ns"), timestamps_ms))
    if allowed:
        reasons.append((Reason.UNKNOWN_SYMBOL, _foreign(found, symbols, allowed)))
    bad = np.logical_or.reduce([mask for _reason, mask in reasons])
    rows = None
    if bad.any():
        for at in np.flatnonzero(bad).tolist():
            reason = next(reason for reason, mask in reasons if mask[at])
            detail = explain(reason, found.tick(at), int(timestamps_ms[at]))
            payload = raw.values[found.place(at)]
            dead.append(_dead_letter(raw, topic, int(offsets[at]), payload, reason, detail))
        dead.sort(key=lambda dead_letter: dead_letter.offset or 0)
        rows = np.flatnonzero(~bad).tolist()
        columns = {name: column[rows] for name, column in columns.items()}
    symbol_ids = _symbol_ids(found, rows, symbols)
    symbols.see(symbol_ids, columns["offset"])
    if dead or symbols.gap_marks.keys:
        _carry_gap_marks(symbols, dead, allowed, columns, symbol_ids)
    batch = TickBatch(
        partition=raw.partition,
        offset=columns["offset"],
        symbol_id=symbol_ids,
        ts_event_ns=columns["ts_event_ns"],
        price=columns["price"],
        size=columns["size"],
        side=columns["side"],
        bid=columns["bid"],
        ask=columns["ask"],
        bid_size=columns["bid_size"],
        ask_size=columns["ask_size"],
        trade_id=columns["trade_id"],
        gap=columns["gap"],
        ticks=_ticks(found, rows) if parsed is None else [],
    )
    return batch, dead


def _by_msgspec(raw: RawBatch, topic: str) -> _Found:
    ticks, positions, dead = _decode_messages(raw, topic)
    columns = {name: _column(ticks, name) for name in _COLUMNS}
    unknown = np.full(len(ticks), UNKNOWN, np.int64)
    return _Found(columns, unknown, positions, dict(enumerate(ticks)), raw.values, dead)


def _by_parser(raw: RawBatch, topic: str, parsed: ParsedTicks) -> _Found:
    """Decode what the parser has left, and put it into its columns."""
    ticks: dict[int, Tick] = {}
    dead = []
    for at in np.flatnonzero(~parsed.taken).tolist():
        outcome = _decode_message(raw.values[at])
        if isinstance(outcome, Tick):
            ticks[at] = outcome
            parsed.symbol_id[at] = UNKNOWN
            for name, column in parsed.columns.items():
                value = getattr(outcome, name)
                column[at] = _null(name) if value is None else value
        else:
            dead.append(_dead_letter(raw, topic, raw.offsets[at], raw.values[at], *outcome))
    found = _Found(parsed.columns, parsed.symbol_id, None, ticks, raw.values, dead)
    if dead:
        usable = parsed.taken.copy()
        usable[list(ticks)] = True
        positions = np.flatnonzero(usable).tolist()
        rows = {at: row for row, at in enumerate(positions)}
        found.columns = {name: column[positions] for name, column in found.columns.items()}
        found.symbol_id = found.symbol_id[positions]
        found.ticks = {rows[at]: tick for at, tick in ticks.items()}
        found.positions = positions
    return found


def _decode_messages(
    raw: RawBatch, topic: str
) -> tuple[list[Tick], list[int] | None, list[DeadLetter]]:
    """Return decoded ticks, where in the batch they are (None: all of it), and dead letters."""
    values = raw.values
    try:
        if max(map(len, values), default=0) <= MAX_BYTES:
            return list(map(_TICK.decode, values)), None, []
    except UNREADABLE:
        pass  # some message is broken: look at each
    ticks: list[Tick] = []
    positions: list[int] = []
    dead: list[DeadLetter] = []
    for at, value in enumerate(values):
        outcome = _decode_message(value)
        if isinstance(outcome, Tick):
            ticks.append(outcome)
            positions.append(at)
        else:
            dead.append(_dead_letter(raw, topic, raw.offsets[at], value, *outcome))
    return ticks, positions, dead


def _decode_message(value: bytes) -> Tick | tuple[Reason, str]:
    if len(value) > MAX_BYTES:
        return Reason.TOO_LARGE, f"the message has {len(value)} bytes, more than {MAX_BYTES}"
    if not value:
        return Reason.NOT_JSON, "the message has no value"
    try:
        return _TICK.decode(value)
    except msgspec.ValidationError as error:
        return _invalid(value, str(error))
    except UNREADABLE as error:
        return Reason.NOT_JSON, _broken(value) or f"not JSON: {error}"


def _invalid(value: bytes, complaint: str) -> tuple[Reason, str]:
    """Classify a message whose decoding stopped at a field; what follows it may not be JSON."""
    broken = _broken(value)
    if broken is not None:
        return Reason.NOT_JSON, broken
    if complaint.startswith("Object missing required field"):
        return Reason.MISSING_FIELD, complaint.replace("Object missing", "missing")
    found = _PATH.search(complaint)
    field = found["field"] if found else None
    if field is None:
        return Reason.WRONG_TYPE, f"{complaint}: {_shown(value)}"
    cause = complaint[: found.start()] if found else complaint
    try:
        text = bytes(_FIELDS.decode(value)[field])
    except (*UNREADABLE, KeyError):  # some other key of the object is not text
        text = value
    out_of_range = cause == "Number out of range" and field in {"price", "bid", "ask"}
    reason = Reason.BAD_PRICE if out_of_range else Reason.WRONG_TYPE
    return reason, f"{field} is {_shown(text)}: {cause}"


def _broken(value: bytes) -> str | None:
    """Return why bytes are not JSON, None if they are."""
    try:
        value.decode()
        _SYNTAX.decode(value)
    except UnicodeDecodeError as error:
        cause = f"bytes that are not UTF-8 ({error.reason})"
    except RecursionError:
        return "not usable as JSON: nested too deeply"
    except msgspec.DecodeError as error:
        cause = str(error)
    else:
        return None
    return f"not JSON: {looks_like(value) or cause}"


def _shown(text: bytes) -> str:
    short = text[:_SHOWN].decode("utf-8", "replace")
    return short if len(text) <= _SHOWN else f"{short}..."


def _offsets(raw: RawBatch) -> Int64:
    """Return the offsets, which rise: without a gap they are told by their ends."""
    offsets = raw.offsets
    if offsets and offsets[-1] - offsets[0] + 1 == len(offsets):
        return np.arange(offsets[0], offsets[-1] + 1, dtype=np.int64)
    return np.array(offsets, np.int64)


def _null(name: str) -> float:
    return np.nan if _COLUMNS[name][0] is np.float64 else NO_TRADE_ID


def _column(ticks: list[Tick], name: str) -> npt.NDArray[Any]:
    dtype, read = _COLUMNS[name]
    try:
        return np.fromiter(map(read, ticks), dtype, len(ticks))
    except TypeError:  # a null is among them
        null = _null(name)
        values = (null if value is None else value for value in map(read, ticks))
        return np.fromiter(values, dtype, len(ticks))


def _foreign(found: _Found, symbols: SymbolTable, allowed: frozenset[str]) -> Bool:
    """Return where the symbol is none of the allowed ones."""
    foreign = np.empty(len(found), np.bool_)
    for row, number in enumerate(found.symbol_id.tolist()):
        symbol = found.tick(row).symbol if number == UNKNOWN else symbols.names[number][1]
        foreign[row] = symbol not in allowed
    return foreign


def _ticks(found: _Found, rows: list[int] | None) -> list[Tick]:
    """Return the ticks of rows, of all for None, where msgspec has decoded each."""
    chosen = range(len(found)) if rows is None else rows
    return [found.ticks[row] for row in chosen]


def _symbol_ids(found: _Found, rows: list[int] | None, symbols: SymbolTable) -> Int32:
    """Return the numbers of usable ticks; symbols without one get theirs in this order."""
    if len(found.ticks) == len(found):
        by_venue = symbols.by_venue
        with contextlib.suppress(KeyError):
            numbers = [by_venue[tick.venue][tick.symbol] for tick in _ticks(found, rows)]
            return np.array(numbers, np.int32)
    ids = (found.symbol_id if rows is None else found.symbol_id[rows]).astype(np.int32)
    for at in np.flatnonzero(ids == UNKNOWN).tolist():
        tick = found.tick(at if rows is None else rows[at])
        ids[at] = symbols.intern(tick.venue, tick.symbol)
    return ids


def _carry_gap_marks(
    symbols: SymbolTable,
    dead: list[DeadLetter],
    allowed: frozenset[str],
    columns: dict[str, np.ndarray],
    symbol_ids: Int32,
) -> None:
    """Keep the gap marks of refused ticks; give those that wait to the usable ticks they are for.

    ``dead`` is in offset order; the column of gaps is changed in place.
    """
    marks = symbols.gap_marks
    found = deque(
        (each.offset or 0, *mark)
        for each in dead
        if (mark := gap_mark(each.payload, allowed)) is not None
    )
    wanted = [*marks.keys, *(key for _offset, key, _trade_id in found)]
    keys = {symbols.ids[key]: key for key in wanted if key in symbols.ids}
    rows = np.flatnonzero(np.isin(symbol_ids, list(keys))).tolist() if keys else []
    for row in rows:
        offset, trade_id = int(columns["offset"][row]), int(columns["trade_id"][row])
        while found and found[0][0] < offset:
            marks.add(*found.popleft())
        own_id = None if trade_id == NO_TRADE_ID else trade_id
        if marks.take(keys[int(symbol_ids[row])], offset, own_id):
            columns["gap"][row] = True
    for left in found:
        marks.add(*left)


def _dead_letter(
    raw: RawBatch, topic: str, offset: int, payload: bytes, reason: Reason, detail: str
) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        detail=detail,
        payload=payload,
        topic=topic,
        partition=raw.partition,
        offset=offset,
    )
